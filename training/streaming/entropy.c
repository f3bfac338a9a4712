/* Huffman decoding of whole MCUs (T.81, F.2.2). */
#include "region.h"

/* Natural place of the k-th coefficient; the last one where an end of block, or damage, leads beyond. */
#define L 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63
static const uint8_t places[192] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,
    7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46,
    53, 60, 61, 54, 47, 55, 62, 63, L,  L,  L,  L,  L,  L,  L,  L};
#undef L

/* The value that `size` bits stand for (T.81, F.2.2.1). */
static inline int extend(int value, int size) {
    return value < (1 << size) >> 1 ? value - (1 << size) + 1 : value;
}

static void fill(uint32_t *at, int count, uint32_t entry) {
    for (int i = 0; i < count; i++) at[i] = entry;
}

static void enter_code(huffman *out, int code, int length, int symbol, int is_dc) {
    int size = symbol & 15, spare = LOOK - length;
    uint32_t steps = is_dc ? 0 : size ? (uint32_t)(symbol >> 4) + 1 : symbol == 0xF0 ? 16 : END_OF_BLOCK;
    uint32_t *at = out->look + ((size_t)code << spare), entry = steps << 8;
    if (is_dc || size > spare) {
        fill(at, 1 << spare, entry | (uint32_t)length | PARTIAL | (uint32_t)size << 16);
        return;
    }
    entry |= (uint32_t)(length + size);
    for (int value = 0; value < 1 << size; value++, at += 1 << (spare - size))
        fill(at, 1 << (spare - size), entry | (uint32_t)extend(value, size) << 16);
}

/* JPEG_TABLES where counts and symbols make no prefix code. */
int huffman_prepare(huffman *out, const uint8_t *table, int is_dc) {
    int32_t code = 0, place = 0;
    for (int length = 1; length <= 16; length++, code <<= 1) {
        int count = table[length - 1];
        out->first[length] = code;
        out->index[length] = place;
        if (code + count > 1 << length) return JPEG_TABLES;
        for (int i = 0; i < count; i++, code++, place++) {
            int symbol = out->symbols[place] = table[16 + place];
            if (is_dc && symbol > 15) return JPEG_TABLES;
            if (length <= LOOK) enter_code(out, code, length, symbol, is_dc);
        }
        out->last[length] = code;
        if (length == LOOK) fill(out->look + code, (1 << LOOK) - code, LONG);
    }
    return place ? JPEG_OK : JPEG_TABLES;
}

#define REFILL(s)                                   \
    do {                                            \
        uint64_t more;                              \
        memcpy(&more, (s).at, 8);                   \
        (s).bits |= big_endian(more) >> (s).count;  \
        (s).at += (63 - (s).count) >> 3;            \
        (s).count |= 56;                            \
    } while (0)

static inline uint64_t big_endian(uint64_t value) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap64(value);
#else
    return value;
#endif
}

#define DROP(s, n)                     \
    do {                               \
        (s).bits <<= (n) & 63;         \
        (s).count -= (int)((n) & 63);  \
    } while (0)

/* An entry for a code longer than LOOK bits, as PARTIAL ones are; 0 where there is no such code. */
static uint32_t long_code(const huffman *table, uint64_t bits, int is_dc) {
    for (int length = LOOK + 1; length <= 16; length++) {
        int32_t code = (int32_t)(bits >> (64 - length));
        if (code >= table->last[length] || code < table->first[length]) continue;
        int symbol = table->symbols[table->index[length] + code - table->first[length]], size = symbol & 15;
        uint32_t steps = is_dc ? 0 : size ? (uint32_t)(symbol >> 4) + 1 : symbol == 0xF0 ? 16 : END_OF_BLOCK;
        return (uint32_t)length | PARTIAL | steps << 8 | (uint32_t)size << 16;
    }
    return 0;
}

/* Takes the value bits of a PARTIAL entry. At most 31 bits with its code. */
static inline int take_value(bit_stream *s, uint32_t entry) {
    int size = (int)(entry >> 16);
    DROP(*s, entry);
    int value = (int)(s->bits >> 1 >> (63 - size));
    DROP(*s, (unsigned)size);
    return extend(value, size);
}

static inline int decode_dc(bit_stream *s, const huffman *table, int *difference) {
    REFILL(*s);
    uint32_t entry = table->look[s->bits >> (64 - LOOK)];
    if (__builtin_expect(entry & LONG, 0) && !(entry = long_code(table, s->bits, 1))) return 0;
    *difference = take_value(s, entry);
    return 1;
}

/* Gives the zigzag place that the block's coding ended at; 64 to 127 where it is damaged. */
static inline int decode_ac(bit_stream *stream, const huffman *table, int16_t *block) {
    bit_stream s = *stream;
    int k = 0;
    REFILL(s);
    for (;;) {
#define STEP                                                                         \
    {                                                                                \
        uint32_t entry = table->look[s.bits >> (64 - LOOK)];                         \
        if (__builtin_expect(entry & (PARTIAL | LONG), 0)) {                         \
            if ((entry & LONG) && !(entry = long_code(table, s.bits, 0))) return 64; \
            k += entry >> 8 & 255;                                                   \
            block[places[k]] = (int16_t)take_value(&s, entry);                       \
            REFILL(s);                                                               \
        } else {                                                                     \
            DROP(s, entry);                                                          \
            k += entry >> 8 & 255;                                                   \
            block[places[k]] = (int16_t)(entry >> 16);                               \
        }                                                                            \
        if (k >= 63) break;                                                          \
    }
        STEP STEP STEP REFILL(s); /* 56 bits, less two short symbols of LOOK bits: 36, enough for any third one */
    }
    stream->at = s.at;
    stream->bits = s.bits;
    stream->count = s.count;
    return k;
}

static inline int decode_mcu(const region_context *region, bit_stream *stream, int16_t *block, uint8_t *last) {
    for (int c = 0; c < region->count; c++) {
        const component *part = &region->parts[c];
        for (int i = part->h * part->v; i > 0; i--, block += 64, last++) {
            int difference;
            memset(block, 0, 128);
            if (!decode_dc(stream, part->dc, &difference)) return JPEG_DAMAGED;
            stream->predicted[c] = (int)((unsigned)stream->predicted[c] + (unsigned)difference);
            int k = decode_ac(stream, part->ac, block);
            if (k & 64) return JPEG_DAMAGED;
            block[0] = (int16_t)stream->predicted[c];
            *last = (uint8_t)(k & 127);
        }
    }
    return (stream->at - stream->end) * 8 > stream->count ? JPEG_DAMAGED : JPEG_OK;
}

/* Decodes MCUs up to `to`, into blocks of 64 coefficients in natural order; where blocks is NULL, they are read only. */
int decode_mcus(const region_context *region, bit_stream *stream, int64_t to, int16_t *blocks, uint8_t *last) {
    int16_t unused[64 * MOST_BLOCKS];
    uint8_t unused_last[MOST_BLOCKS];
    for (; stream->next < to; stream->next++) {
        int reason = decode_mcu(region, stream, blocks ? blocks : unused, blocks ? last : unused_last);
        if (reason) return reason;
        if (!blocks) continue;
        blocks += 64 * region->blocks;
        last += region->blocks;
    }
    return JPEG_OK;
}
