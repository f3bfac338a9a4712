/* Bits of entropy-coded data (T.81, F.1.2 and F.2.2), read without stuffing and written with it. */
#ifndef TARN_BITS_H
#define TARN_BITS_H

#include "jpeg.h"

/* A reader finds out at a block's end that it left its data: a block may have 64 codes of 26 bits, and a look takes 8
 * bytes. So many bytes behind the data hold zeros. */
#define BITS_PADDING 256

typedef struct {
    const uint8_t *data;
    uint64_t at, end; /* in bits */
} bit_reader;

static inline uint64_t bits_load(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, 8);
    return __builtin_bswap64(value); /* every platform of ours is little-endian */
}

/* At least 57 bits, the next one highest. */
static inline uint64_t bits_peek(const bit_reader *in) { return bits_load(in->data + (in->at >> 3)) << (in->at & 7); }

/* A code's length << 8 | symbol, or -1 for bits that are no code. */
static inline int huffman_read(const jpeg_huffman *table, uint64_t bits) {
    int entry = table->look[bits >> (64 - JPEG_LOOK)];
    if (__builtin_expect(entry != 0, 1)) return entry;
    for (int length = JPEG_LOOK + 1; length <= 16; length++) {
        int32_t code = (int32_t)(bits >> (64 - length));
        if (code < table->last[length])
            return length << 8 | table->symbols[table->index[length] + code - table->first[length]];
    }
    return -1;
}

/* The value that `size` extra bits stand for (T.81, figure F.12). */
static inline int bits_extend(int extra, int size) {
    return size == 0 ? 0 : extra < 1 << (size - 1) ? extra - (1 << size) + 1 : extra;
}

/* Copies data without its stuffed zeros; returns the length, or SIZE_MAX where a marker is inside. */
static inline size_t bits_unstuff(const uint8_t *data, size_t size, uint8_t *out) {
    size_t made = 0;
    while (size) {
        const uint8_t *found = memchr(data, 0xFF, size);
        size_t run = found ? (size_t)(found - data) + 1 : size;
        memcpy(out + made, data, run);
        made += run;
        data += run;
        size -= run;
        if (!found) break;
        if (!size || *data != 0) return SIZE_MAX;
        data++;
        size--;
    }
    return made;
}

typedef struct {
    uint8_t *at, *end;
    uint64_t pending; /* the lowest `count` bits are still to be written */
    int count;        /* below 32 between calls */
} bit_writer;

/* length <= 32. The caller keeps 16 bytes of room. */
static inline void bits_write(bit_writer *out, uint32_t value, int length) {
    out->pending = out->pending << length | value;
    out->count += length;
    if (out->count < 32) return;
    out->count -= 32;
    uint32_t word = (uint32_t)(out->pending >> out->count);
    if (!((word & 0x80808080u) & ((word & 0x7F7F7F7Fu) + 0x01010101u))) { /* no byte is FF */
        word = __builtin_bswap32(word);
        memcpy(out->at, &word, 4);
        out->at += 4;
        return;
    }
    for (int shift = 24; shift >= 0; shift -= 8) {
        uint8_t byte = (uint8_t)(word >> shift);
        *out->at++ = byte;
        if (byte == 0xFF) *out->at++ = 0;
    }
}

/* Fills the last byte with ones, as T.81 F.1.2.3 asks. */
static inline void bits_flush(bit_writer *out) {
    int spare = (8 - (out->count & 7)) & 7;
    out->pending = out->pending << spare | ((1u << spare) - 1);
    for (out->count += spare; out->count; out->count -= 8) {
        uint8_t byte = (uint8_t)(out->pending >> (out->count - 8));
        *out->at++ = byte;
        if (byte == 0xFF) *out->at++ = 0;
    }
}

#endif
