/* Lossless tiling: the coefficients' symbols are read once, counted, and written anew between restart markers.
 *
 * A symbol is kept as symbol << 16 | extra bits. A block is its DC value (biased by DC_BIAS), then its AC symbols up to
 * the end of block. Only the DC differences change: they start from 0 behind every marker. */
#include "tile.h"

#include <stdlib.h>

#include "bits.h"
#include "metadata.h"
#include "optimal.h"

#define DC_BIAS 32768
#define DC_LARGEST 2047 /* category 11, the greatest of baseline pictures of 8 bits (T.81, table F.1) */

typedef struct {
    uint32_t *symbols;
    size_t count, room;
    uint32_t dc[2][256], ac[2][256]; /* frequencies: of luma, of chroma */
} symbol_list;

typedef struct {
    const jpeg_header *header;
    jpeg_huffman dc[4], ac[4];
    int blocks[3]; /* of a component in an MCU */
    int interval;  /* of the output */
} tiling;

int jpeg_tile_interval(const jpeg_header *header, int side) {
    int best = header->mcus_x, row = header->mcus_x;
    double nearest = 3.0; /* no tile beyond a third or three times of what is wanted */
    for (int mcus = 1; mcus <= row; mcus++) {
        if (row % mcus) continue;
        double ratio = (double)mcus * header->mcu_width / side;
        if (ratio < 1) ratio = 1 / ratio;
        if (ratio <= nearest) {
            nearest = ratio;
            best = mcus;
        }
    }
    return best;
}

static int has_room(symbol_list *list) { /* for one more block */
    if (list->count + 65 <= list->room) return 1;
    size_t room = list->room * 2 + 4096;
    uint32_t *more = realloc(list->symbols, room * sizeof *more);
    if (!more) return 0;
    list->symbols = more;
    list->room = room;
    return 1;
}

/* One block's symbols; *last: the component's DC value before and after. */
static int read_block(bit_reader *in, const jpeg_huffman *dc, const jpeg_huffman *ac, int *last, uint32_t *ac_counts,
                      symbol_list *list) {
    uint64_t bits = bits_peek(in);
    int entry = huffman_read(dc, bits), size = entry & 255, length = entry >> 8;
    if (entry < 0 || size > 11) return JPEG_DAMAGED;
    if (size) *last += bits_extend((int)(bits << length >> (64 - size)), size);
    if (*last > DC_LARGEST || *last < -DC_LARGEST) return JPEG_DAMAGED;
    in->at += (unsigned)(length + size);
    uint32_t *out = list->symbols + list->count;
    *out++ = (uint32_t)(*last + DC_BIAS);
    for (int k = 1; k < 64;) {
        bits = bits_peek(in);
        entry = huffman_read(ac, bits);
        if (entry < 0) return JPEG_DAMAGED;
        length = entry >> 8;
        int symbol = entry & 255;
        size = symbol & 15;
        in->at += (unsigned)(length + size);
        ac_counts[symbol]++;
        if (size) {
            if (size > 10) return JPEG_DAMAGED;
            *out++ = (uint32_t)symbol << 16 | (uint32_t)(bits << length >> (64 - size));
            k += (symbol >> 4) + 1;
            if (k > 64) return JPEG_DAMAGED; /* a run beyond the block's end: decoders differ about it */
            continue;
        }
        *out++ = (uint32_t)symbol << 16;
        if (symbol == 0) break;
        if (symbol != 0xF0) return JPEG_DAMAGED;
        k += 16;
        if (k > 63) return JPEG_DAMAGED;
    }
    if (in->at > in->end) return JPEG_DAMAGED;
    list->count = (size_t)(out - list->symbols);
    return JPEG_OK;
}

/* The symbols of `mcus` MCUs that stand together between two markers. */
static int read_interval(const tiling *job, bit_reader *in, int mcus, symbol_list *list) {
    const jpeg_header *header = job->header;
    int last[3] = {0, 0, 0};
    for (int mcu = 0; mcu < mcus; mcu++)
        for (int i = 0; i < header->components; i++)
            for (int n = 0; n < job->blocks[i]; n++) {
                if (!has_room(list)) return JPEG_NO_MEMORY;
                int reason =
                    read_block(in, &job->dc[header->dc[i]], &job->ac[header->ac[i]], &last[i], list->ac[i > 0], list);
                if (reason) return reason;
            }
    return in->end - in->at < 8 ? JPEG_OK : JPEG_DAMAGED; /* nothing but the last byte's filling may be left */
}

/* All symbols of the scan, whatever restart markers it has already. */
static int read_scan(const tiling *job, const uint8_t *data, size_t size, uint8_t *plain, symbol_list *list) {
    const jpeg_header *header = job->header;
    int left = header->mcus_x * header->mcus_y, marker = 0;
    size_t at = (size_t)header->entropy, end = jpeg_scan_end(data, size, at);
    if (end + 2 > size || data[end + 1] != 0xD9) return JPEG_DAMAGED;
    while (left) {
        int mcus = header->interval && header->interval < left ? header->interval : left;
        size_t stop = end;
        if (mcus < left) {
            for (stop = at; stop + 1 < end; stop++)
                if (data[stop] == 0xFF && data[stop + 1]) break;
            if (stop + 1 >= end || data[stop + 1] != 0xD0 + marker) return JPEG_DAMAGED;
            marker = (marker + 1) & 7;
        }
        size_t length = bits_unstuff(data + at, stop - at, plain);
        if (length == SIZE_MAX) return JPEG_DAMAGED;
        memset(plain + length, 0, BITS_PADDING);
        bit_reader in = {plain, 0, 8 * (uint64_t)length};
        int reason = read_interval(job, &in, mcus, list);
        if (reason) return reason;
        at = stop + 2;
        left -= mcus;
    }
    return JPEG_OK;
}

static inline int category(int value) { return value ? 32 - __builtin_clz((unsigned)(value < 0 ? -value : value)) : 0; }

static const uint32_t *next_block(const uint32_t *at) {
    for (int k = 1; k < 64;) {
        uint32_t symbol = *at++ >> 16;
        if (!symbol) break;
        k += (int)(symbol >> 4) + 1;
    }
    return at;
}

/* How often each category of DC difference will be written. */
static int count_dc(const tiling *job, symbol_list *list) {
    const jpeg_header *header = job->header;
    const uint32_t *at = list->symbols;
    int total = header->mcus_x * header->mcus_y, last[3] = {0, 0, 0};
    for (int mcu = 0; mcu < total; mcu++) {
        if (mcu % job->interval == 0) memset(last, 0, sizeof last);
        for (int i = 0; i < header->components; i++)
            for (int n = 0; n < job->blocks[i]; n++) {
                int value = (int)*at - DC_BIAS, size = category(value - last[i]);
                if (size > 11) return JPEG_DAMAGED;
                list->dc[i > 0][size]++;
                last[i] = value;
                at = next_block(at + 1);
            }
    }
    return JPEG_OK;
}

static const uint32_t *write_block(bit_writer *out, const uint32_t *at, int *last, const huffman_code *dc,
                                   const huffman_code *ac) {
    int value = (int)*at++ - DC_BIAS, difference = value - *last, size = category(difference);
    uint32_t extra = (uint32_t)(difference < 0 ? difference + (1 << size) - 1 : difference);
    *last = value;
    bits_write(out, (uint32_t)dc->code[size] << size | extra, dc->length[size] + size);
    for (int k = 1; k < 64;) {
        uint32_t entry = *at++, symbol = entry >> 16;
        size = (int)(symbol & 15);
        bits_write(out, (uint32_t)ac->code[symbol] << size | (entry & 0xFFFF), ac->length[symbol] + size);
        if (!symbol) break;
        k += (int)(symbol >> 4) + 1;
    }
    return at;
}

static int write_scan(const tiling *job, const symbol_list *list, const huffman_code *dc, const huffman_code *ac,
                      bit_writer *out) {
    const jpeg_header *header = job->header;
    const uint32_t *at = list->symbols;
    int total = header->mcus_x * header->mcus_y, last[3] = {0, 0, 0}, marker = 0;
    for (int mcu = 0; mcu < total; mcu++) {
        if (mcu && mcu % job->interval == 0) {
            bits_flush(out);
            *out->at++ = 0xFF;
            *out->at++ = (uint8_t)(0xD0 + marker);
            marker = (marker + 1) & 7;
            memset(last, 0, sizeof last);
        }
        for (int i = 0; i < header->components; i++)
            for (int n = 0; n < job->blocks[i]; n++) {
                if (out->end - out->at < 600) return JPEG_TOO_LARGE; /* a block takes 64 x 26 bits, all stuffed */
                at = write_block(out, at, &last[i], &dc[i > 0], &ac[i > 0]);
            }
    }
    bits_flush(out);
    return JPEG_OK;
}

static void put_u16(bit_writer *out, int value) {
    *out->at++ = (uint8_t)(value >> 8);
    *out->at++ = (uint8_t)value;
}

static void put_table(bit_writer *out, int which, const huffman_code *code) {
    *out->at++ = (uint8_t)which;
    memcpy(out->at, code->counts, 16);
    memcpy(out->at + 16, code->symbols, (size_t)code->used);
    out->at += 16 + code->used;
}

/* Every segment before the scan that matters, then the new tables and interval, then the scan's header. */
static int write_head(const tiling *job, const uint8_t *data, const huffman_code *dc, const huffman_code *ac,
                      bit_writer *out) {
    const jpeg_header *header = job->header;
    if (out->end - out->at < header->entropy + 4 * 300) return JPEG_TOO_LARGE;
    put_u16(out, 0xFFD8);
    for (int32_t at = 2; at < header->scan;) {
        int length = 2 + (data[at + 2] << 8 | data[at + 3]), marker = data[at + 1];
        if (marker == 0xFF) {
            at++;
            continue;
        }
        if (marker != 0xC4 && marker != 0xDD && metadata_matters(marker, data + at + 4, length - 4)) {
            memcpy(out->at, data + at, (size_t)length);
            out->at += length;
        }
        at += length;
    }
    int kinds = header->components > 1 ? 2 : 1, length = 2;
    for (int i = 0; i < kinds; i++) length += 34 + dc[i].used + ac[i].used;
    put_u16(out, 0xFFC4);
    put_u16(out, length);
    for (int i = 0; i < kinds; i++) {
        put_table(out, i, &dc[i]);
        put_table(out, 0x10 | i, &ac[i]);
    }
    put_u16(out, 0xFFDD);
    put_u16(out, 4);
    put_u16(out, job->interval);
    int scan = header->entropy - header->scan;
    memcpy(out->at, data + header->scan, (size_t)scan);
    for (int i = 0; i < header->components; i++) out->at[6 + 2 * i] = i ? 0x11 : 0x00;
    out->at += scan;
    return JPEG_OK;
}

static int write_picture(tiling *job, const uint8_t *data, symbol_list *list, bit_writer *out) {
    huffman_code dc[2], ac[2];
    int reason = count_dc(job, list);
    if (reason) return reason;
    for (int i = 0; i < (job->header->components > 1 ? 2 : 1); i++) {
        huffman_optimise(list->dc[i], &dc[i]);
        huffman_optimise(list->ac[i], &ac[i]);
    }
    if ((reason = write_head(job, data, dc, ac, out))) return reason;
    if ((reason = write_scan(job, list, dc, ac, out))) return reason;
    put_u16(out, 0xFFD9);
    return JPEG_OK;
}

int jpeg_tile(const uint8_t *data, size_t size, int side, uint8_t *out, size_t capacity, size_t *written) {
    jpeg_header header;
    int reason = jpeg_parse(data, size, &header);
    if (reason) return reason;
    tiling *job = calloc(1, sizeof *job);
    symbol_list *list = calloc(1, sizeof *list);
    uint8_t *plain = malloc(size + BITS_PADDING);
    if (!job || !list || !plain) reason = JPEG_NO_MEMORY;
    if (!reason) {
        job->header = &header;
        job->interval = jpeg_tile_interval(&header, side);
        if (job->interval >= header.mcus_x * header.mcus_y) reason = JPEG_NO_GAIN;
        for (int i = 0; i < header.components; i++) {
            job->blocks[i] = header.components == 1 ? 1 : header.h[i] * header.v[i];
            if (!jpeg_huffman_build(header.huffs[0][header.dc[i]], &job->dc[header.dc[i]])) reason = JPEG_TABLES;
            if (!jpeg_huffman_build(header.huffs[1][header.ac[i]], &job->ac[header.ac[i]])) reason = JPEG_TABLES;
        }
    }
    bit_writer writer = {out, out + capacity, 0, 0};
    if (!reason) reason = read_scan(job, data, size, plain, list);
    if (!reason) reason = write_picture(job, data, list, &writer);
    *written = reason ? 0 : (size_t)(writer.at - out);
    if (list) free(list->symbols);
    free(list);
    free(job);
    free(plain);
    return reason;
}
