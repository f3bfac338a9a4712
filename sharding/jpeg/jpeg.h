/* A baseline JPEG's structure (ITU-T T.81 | ISO/IEC 10918-1), read without trusting a byte of it. */
#ifndef TARN_JPEG_H
#define TARN_JPEG_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Why a picture is left as it is. Their words stand in structure.py, in this order. */
enum jpeg_reason {
    JPEG_OK = 0,
    JPEG_NOT_JPEG,     /* no SOI, or no frame before the data ends */
    JPEG_DAMAGED,      /* cut off, or coded against its own tables */
    JPEG_PROGRESSIVE,
    JPEG_ARITHMETIC,
    JPEG_LOSSLESS,     /* lossless or hierarchical frames */
    JPEG_PRECISION,    /* 12 bits */
    JPEG_COMPONENTS,   /* neither 1 nor 3 */
    JPEG_SAMPLING,     /* chroma not 1x1, or luma beyond 4x4 */
    JPEG_SCANS,        /* several scans, or a script of them that nobody needs */
    JPEG_TABLES,       /* a table is missing or malformed */
    JPEG_TOO_LARGE,    /* beyond 65,500 px a side, or no room in the output */
    JPEG_NO_GAIN,      /* too small to have more than one tile */
    JPEG_COLOURS,      /* RGB or an unknown transform */
    JPEG_NO_MEMORY,
    JPEG_INCOMPLETE,   /* scans are missing: decoders guess at what did not arrive */
};

typedef struct {
    int32_t width, height; /* px; known for every kind of frame */
    int32_t components;
    int32_t id[4], h[4], v[4]; /* sampling factors as the frame tells them */
    int32_t quant[4], dc[4], ac[4]; /* table selectors, 0 to 3 */
    int32_t mcu_width, mcu_height; /* px */
    int32_t mcus_x, mcus_y;
    int32_t interval; /* MCUs between restart markers, 0: none */
    int32_t frame;    /* offset of the frame's marker (its FF) */
    int32_t scan;     /* offset of the scan header's marker */
    int32_t entropy;  /* offset of the entropy-coded data */
    int32_t ycc;      /* 1: YCbCr or grey as libjpeg decides it; 0: RGB */
    const uint8_t *quants[4];   /* 64 values of 8 bits in zigzag order, or NULL */
    const uint8_t *huffs[2][4]; /* [0: DC, 1: AC]: 16 counts, then the symbols, or NULL */
} jpeg_header;

/* Everything up to the first scan. For what is no baseline picture of one scan: the reason, with width and height
 * where the frame told them. Pointers are into data. */
int jpeg_parse(const uint8_t *data, size_t size, jpeg_header *header);

/* Of a DQT's and a DHT's content: pointers into it in header->quants and header->huffs. */
int jpeg_read_quants(const uint8_t *at, const uint8_t *end, jpeg_header *header);
int jpeg_read_huffs(const uint8_t *at, const uint8_t *end, jpeg_header *header);

/* width << 16 | height, as far as a frame tells them. */
uint32_t jpeg_size(const uint8_t *data, size_t size);

/* jpeg_parse, where only the reason is wanted. */
int jpeg_look(const uint8_t *data, size_t size);

/* 1 for a baseline picture of one scan whose head is right, its Huffman tables too, and whose scan goes up to its own end
 * marker, not to that of a thumbnail or of what lies behind. None of its codes is read. */
int jpeg_is_whole(const uint8_t *data, size_t size);

/* 0 where a segment in front of the first scan is not as programs write it, so that a reader of what it tells may refuse
 * the picture: JFIF, Adobe and ICC segments that are cut, a resolution in Exif that is no number, a Photoshop block that
 * ends within a resource, or an index of several pictures (MPF). */
int jpeg_has_plain_head(const uint8_t *data, size_t size);

/* 1 for a picture that can be tiled and whose colours are YCbCr or grey, 0 for any other. */
int jpeg_is_ycc(const uint8_t *data, size_t size);

/* Offset of the first marker that ends entropy-coded data at or behind `from` (an FF followed by neither 00 nor FF nor
 * RST), or size. */
size_t jpeg_scan_end(const uint8_t *data, size_t size, size_t from);

/* Of entropy-coded data [from, end): the end without fill bytes and restart markers behind its last byte, which may
 * stand before any marker (B.1.1.2), and say nothing there. */
size_t jpeg_without_filling(const uint8_t *data, size_t from, size_t end);

/* Offset of the marker's second byte, where fill bytes lead to it: data[at] is FF. Below size, or size. */
static inline size_t jpeg_behind_filling(const uint8_t *data, size_t size, size_t at) {
    while (at < size && data[at] == 0xFF) at++;
    return at;
}

/* A Huffman table for reading: entry = length << 8 | symbol for codes of up to 9 bits, 0 for longer ones. */
#define JPEG_LOOK 9
typedef struct {
    uint16_t look[1 << JPEG_LOOK];
    int32_t first[18], last[18]; /* smallest code of a length, and one past its greatest */
    int32_t index[18];           /* place of a length's first symbol */
    uint8_t symbols[256];
} jpeg_huffman;

/* Whether all symbols are sizes of a DC difference: libjpeg refuses a table with any other, be it used or not. */
int jpeg_is_dc_table(const uint8_t *table);

/* 0 where counts and symbols make no prefix code. */
int jpeg_huffman_build(const uint8_t *table, jpeg_huffman *out);

/* Markers that libjpeg refuses wherever they stand: extensions (C8, F0 to FD) and hierarchical ones (DE, DF). */
static inline int jpeg_is_unknown(int marker) {
    return marker == 0xC8 || marker == 0xDE || marker == 0xDF || (marker >= 0xF0 && marker <= 0xFD);
}

static inline int jpeg_ceil_div(int a, int b) { return (a + b - 1) / b; }

/* Natural place of the k-th coefficient in zigzag order; 16 more for run lengths of damaged data. */
extern const uint8_t jpeg_natural_order[80];

#endif
