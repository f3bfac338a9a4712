/* Huffman decoding of MCUs (T.81, F.2.2). */
#include "region.h"

/* What every lookup changes; kept in registers. */
typedef struct {
    uint64_t bits; /* the next ones, from the top */
    int count;     /* how many of them count */
    const uint8_t *at;
    size_t k;      /* zigzag place of the coefficient decoded last */
    const huffman *table;
    int16_t *block;
} hot_state;

static inline uint64_t big_endian(uint64_t value) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return __builtin_bswap64(value);
#else
    return value;
#endif
}

#define INLINE static inline __attribute__((always_inline))

/* 56 bits at least. */
INLINE void refill(hot_state *s) {
    uint64_t more;
    memcpy(&more, s->at, 8);
    s->bits |= big_endian(more) >> s->count;
    s->at += (63 - s->count) >> 3;
    s->count |= 56;
}

INLINE void drop(hot_state *s, unsigned bits) {
    s->bits <<= bits & 63;
    s->count -= (int)bits;
}

/* Takes bits back that were dropped since the last refill. */
INLINE void take_back(hot_state *s, int bits) {
    uint64_t before, more;
    s->count += bits;
    memcpy(&before, s->at - 8, 8);
    memcpy(&more, s->at, 8);
    s->bits = big_endian(before) << (64 - s->count) | big_endian(more) >> s->count;
}

/* The `size` bits of a value behind its code: 31 at most together. */
INLINE int take_value(hot_state *s, int size) {
    int value = (int)(s->bits >> 1 >> (63 - size));
    drop(s, (unsigned)size);
    return extend(value, size);
}

/* A coefficient whose code or value the lookup did not hold. */
INLINE void finish_coefficient(hot_state *s, const lookup *entry) {
    int steps = entry->first_steps, size = entry->first_bits;
    s->k -= INCOMPLETE;
    if (!entry->bits) {
        uint32_t found = long_code(s->table, s->bits, LOOK);
        steps = found ? steps_of((int)(found >> 8)) : 64;
        size = found >> 8 & 15;
        drop(s, found & 255);
    }
    s->k += (size_t)steps;
    s->block[s->table->places[s->k]] = (int16_t)take_value(s, size);
    refill(s);
}

/* One lookup: one or two coefficients. Gives 1 at the end of the block. */
INLINE int step(hot_state *s) {
    const lookup *entry = &s->table->look[s->bits >> (64 - LOOK)];
    drop(s, entry->bits);
    size_t first = s->k + entry->first_steps;
    s->block[s->table->places[first]] = entry->first_value;
    s->k += entry->steps;
    s->block[s->table->places[s->k]] = entry->value;
    if (__builtin_expect(s->k < 63, 1)) return 0;
    if (entry->steps == INCOMPLETE) {
        finish_coefficient(s, entry);
        return s->k >= 63;
    }
    if (first == 63 && s->k > 63) { /* the second one belongs to the next block */
        s->block[63] = entry->first_value;
        take_back(s, entry->bits - entry->first_bits);
        s->k = 63;
    }
    return 1;
}

INLINE void clear(int16_t *block) {
#ifdef REGION_AVX2
    for (int i = 0; i < 64; i += 16) _mm256_store_si256((__m256i *)(block + i), _mm256_setzero_si256());
#else
    memset(block, 0, 128);
#endif
}

/* 1 if the block is sound. */
INLINE int decode_block(hot_state *s, const block_plan *plan, int predicted[3]) {
    clear(s->block);
    refill(s);
    uint32_t entry = plan->dc->look_dc[s->bits >> (64 - LOOK_DC)];
    if (__builtin_expect(!entry, 0) && !(entry = long_code(plan->dc, s->bits, LOOK_DC))) return 0;
    drop(s, entry & 255);
    unsigned difference = (unsigned)take_value(s, (int)(entry >> 8));
    predicted[plan->component] = (int)((unsigned)predicted[plan->component] + difference);
    s->block[0] = (int16_t)predicted[plan->component];
    s->table = plan->ac;
    s->k = 0;
    for (;;) {
        refill(s); /* 56 bits, less two lookups of LOOK bits, are enough for any third one */
        if (step(s) || step(s) || step(s)) return !(s->k & 64);
    }
}

/* Decodes the stream's next `count` MCUs into blocks of 64 coefficients in natural order, and their last places in zigzag
 * order; where blocks is NULL, they are only read over. */
int decode_mcus(const region_context *region, bit_stream *stream, int64_t count, int16_t *blocks, uint8_t *last) {
    _Alignas(32) int16_t unused[64];
    hot_state s = {stream->bits, stream->count, stream->at, 0, NULL, blocks ? blocks : unused};
    int predicted[3] = {stream->predicted[0], stream->predicted[1], stream->predicted[2]};
    for (; count > 0; count--) {
        for (int i = 0; i < region->blocks; i++) {
            if (!decode_block(&s, &region->plan[i], predicted)) return JPEG_DAMAGED;
            if (!blocks) continue;
            *last++ = (uint8_t)(s.k & 127);
            s.block += 64;
        }
        if ((s.at - stream->end) * 8 > s.count) return JPEG_DAMAGED;
    }
    stream->bits = s.bits;
    stream->count = s.count;
    stream->at = s.at;
    memcpy(stream->predicted, predicted, sizeof predicted);
    return JPEG_OK;
}
