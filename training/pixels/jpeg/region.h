/* Pixels of a box of a baseline JPEG, reading only the restart intervals ("tiles") that the box touches. The pixels equal
 * those of libjpeg-turbo with its defaults (accurate integer IDCT, "fancy" upsampling), bit for bit. */
#ifndef TARN_REGION_H
#define TARN_REGION_H

#include "jpeg.h"

#if defined(__AVX2__) && !defined(REGION_PORTABLE)
#define REGION_AVX2
#include <immintrin.h>
#endif

#define LOOK 11        /* bits of a Huffman lookup for AC coefficients */
#define LOOK_DC 9
#define SLACK 4096     /* bytes that an MCU may read past its tile before that is noticed: 10 blocks x 64 x 31 bits */
#define MOST_BLOCKS 10 /* of an MCU (T.81, B.2.3) */
#define MARGIN 64      /* bytes on both sides of a strip's row, for neighbours and whole vectors */

/* What the next LOOK bits hold: one coefficient, or two where both fit. Steps along the zigzag count from the
 * coefficient before. With steps == INCOMPLETE the value's bits follow those of its code (first_bits of them, values 0), or bits ==
 * 0: the code is longer, or there is none. */
typedef struct {
    uint8_t bits, first_bits; /* to drop; for the first coefficient alone */
    uint8_t first_steps, steps;
    int16_t first_value, value; /* the same one twice if alone */
} lookup;

#define INCOMPLETE 255
#define END_OF_BLOCK 128 /* steps: out of the block, and told apart from a run that leaves it (64 to 94) */

typedef struct {
    lookup look[1 << LOOK];   /* AC only */
    uint8_t places[512];      /* natural place of the k-th coefficient; the last one beyond the block */
    uint16_t look_dc[1 << LOOK_DC]; /* length | size << 8, or 0 */
    int32_t first[18], last[18], index[18]; /* as in jpeg_huffman */
    uint8_t symbols[256];
} huffman;

/* A restart interval without its stuffed bytes, read bit by bit. */
typedef struct {
    const uint8_t *at, *end;
    uint64_t bits; /* the next ones, from the top */
    int count;     /* how many of them count */
    int predicted[3];
} bit_stream;

typedef struct {
    const huffman *dc, *ac;
    int component;
} block_plan;

typedef struct {
    int h, v;                   /* blocks of an MCU */
    int size;                   /* samples a side that the IDCT makes of a block */
    int samples_x, samples_y;   /* of the whole component, padding left out */
    int expand_x, expand_y;
    int fancy_x, fancy_y;       /* interpolated in that direction */
    int from_x;                 /* first sample of the strip */
    int stride;
    uint8_t *strip;             /* sample (from_x, first row of the MCU row above it by one) */
    uint8_t *upsampled;         /* one output row */
    _Alignas(32) int16_t quant[128]; /* natural order, each row twice: for two blocks at once */
} component;

typedef struct {
    jpeg_header header;
    const uint8_t *data;
    size_t size;
    size_t scanned;       /* offset that the search for markers has come to */
    int64_t interval;     /* which starts there */
    int64_t intervals, mcus_each;
    uint8_t *unstuffed;   /* the bytes of one interval */
} tile_reader;

typedef struct region_context {
    tile_reader tiles;
    bit_stream stream;    /* the interval found last; it may go on in the next MCU row */
    int64_t stream_at;    /* MCU that it has come to */
    block_plan plan[MOST_BLOCKS];
    component parts[3];
    int count, blocks;    /* components; blocks of an MCU */
    int scale, max_h, max_v;
    int out_left, out_top, out_right, out_bottom;
    int mcu_left, mcu_right, mcu_top, mcu_bottom;
    huffman tables[2][4];
    int16_t *coefficients; /* of one MCU row of the region: MCU after MCU */
    uint8_t *last;         /* per block: place of the last coefficient in zigzag order */
    uint8_t *memory;
    size_t capacity;
} region_context;

/* tiles.c */
int tiles_find(tile_reader *tiles, int64_t interval, bit_stream *out);

/* huffman.c */
int huffman_prepare(huffman *out, const uint8_t *table, int is_dc);
uint32_t long_code(const huffman *table, uint64_t bits, int looked);

static inline int steps_of(int symbol) {
    return symbol & 15 ? (symbol >> 4) + 1 : symbol == 0xF0 ? 16 : END_OF_BLOCK;
}

/* The value that `size` bits stand for (T.81, F.2.2.1). */
static inline int extend(int value, int size) {
    return value < (1 << size) >> 1 ? value - (1 << size) + 1 : value;
}

/* entropy.c */
int decode_mcus(const region_context *region, bit_stream *stream, int64_t count, int16_t *blocks, uint8_t *last);

/* idct.c, idct_scaled.c */
void idct_pair(const int16_t *a, const int16_t *b, const int16_t *quant, uint8_t *out, int stride);
void idct_scaled_pair(const int16_t *a, const int16_t *b, const int16_t *quant, int size, uint8_t *out, int stride);

/* rows.c */
void pad_strip(const component *part, int rows);
const uint8_t *upsample_row(const component *part, int y, int first_row, int left, int right);
void rows_to_rgb(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int width, uint8_t *out);
void rows_interleave(const uint8_t *r, const uint8_t *g, const uint8_t *b, int width, uint8_t *out);

#endif
