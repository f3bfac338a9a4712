/* Huffman decoding of segments of restart intervals (T.81, F.2.2), two at once: one symbol's place is known only after
 * the one before it was looked up, so that a single stream leaves most of a processor idle. */
#include "region.h"

/* What every lookup changes; kept in registers. */
typedef struct {
    uint64_t bits; /* the next ones, from the top */
    int count;     /* how many of them count */
    size_t k;      /* zigzag place of the coefficient decoded last */
    const uint8_t *at;
    const huffman *table;
    int16_t *block;
} hot_state;

/* What changes from block to block. */
typedef struct {
    segment *work;
    int64_t mcus; /* still to do before the segment's next part */
    int number;   /* of the block in its MCU */
    int keeps;    /* whether blocks are kept */
    int predicted[3];
    uint8_t *last;
    int16_t *blocks;
    _Alignas(32) int16_t unused[64];
    uint8_t unused_last;
} lane;

typedef struct {
    const region_context *region;
    segment *next, *end;
} work_queue;

enum { GOES_ON, NO_WORK, DAMAGED };

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

/* Sets a lane to the kept part of its segment, or to the next one that has any MCUs. */
static int next_part(work_queue *queue, lane *l) {
    if (l->work && !l->keeps && l->work->keep) {
        l->keeps = 1;
        l->mcus = l->work->keep;
        l->blocks = l->work->blocks;
        l->last = l->work->last;
        return GOES_ON;
    }
    if (l->work) memcpy(l->work->stream->predicted, l->predicted, sizeof l->predicted);
    l->work = NULL;
    if (queue->next == queue->end) return NO_WORK;
    l->work = queue->next++;
    memcpy(l->predicted, l->work->stream->predicted, sizeof l->predicted);
    l->keeps = !l->work->skip;
    l->mcus = l->keeps ? l->work->keep : l->work->skip;
    l->blocks = l->keeps ? l->work->blocks : l->unused;
    l->last = l->keeps ? l->work->last : &l->unused_last;
    return GOES_ON;
}

INLINE void load(hot_state *s, const lane *l) {
    s->at = l->work->stream->at;
    s->bits = l->work->stream->bits;
    s->count = l->work->stream->count;
    s->block = l->blocks;
}

INLINE void save(const hot_state *s, lane *l) {
    l->work->stream->at = s->at;
    l->work->stream->bits = s->bits;
    l->work->stream->count = s->count;
}

INLINE void clear(int16_t *block) {
#ifdef __AVX2__
    for (int i = 0; i < 64; i += 16) _mm256_store_si256((__m256i *)(block + i), _mm256_setzero_si256());
#else
    memset(block, 0, 128);
#endif
}

/* DC of the lane's next block. */
INLINE int start_block(const work_queue *queue, hot_state *s, lane *l) {
    const block_plan *plan = &queue->region->plan[l->number];
    const huffman *dc = plan->dc;
    clear(s->block);
    refill(s);
    uint32_t entry = dc->look_dc[s->bits >> (64 - LOOK_DC)];
    if (__builtin_expect(!entry, 0) && !(entry = long_code(dc, s->bits, LOOK_DC))) return DAMAGED;
    drop(s, entry & 255);
    int difference = take_value(s, (int)(entry >> 8));
    int value = l->predicted[plan->component] = (int)((unsigned)l->predicted[plan->component] + (unsigned)difference);
    s->block[0] = (int16_t)value;
    s->table = plan->ac;
    s->k = 0;
    refill(s);
    return GOES_ON;
}

/* Ends the lane's block and starts the next one, wherever that is. */
INLINE int next_block(work_queue *queue, hot_state *s, lane *l) {
    if (s->k & 64) return DAMAGED;
    *l->last = (uint8_t)(s->k & 127);
    l->last += l->keeps;
    s->block += l->keeps << 6;
    if (++l->number == queue->region->blocks) {
        l->number = 0;
        if ((s->at - l->work->stream->end) * 8 > s->count) return DAMAGED;
        if (!--l->mcus) {
            save(s, l);
            if (next_part(queue, l) != GOES_ON) return NO_WORK;
            load(s, l);
        }
    }
    return start_block(queue, s, l);
}

/* Both lanes until one is out of work; -1: an error, else the lane that still has work. */
static int decode_both(work_queue *queue, hot_state *first, hot_state *second, lane lanes[2]) {
    hot_state a = *first, b = *second;
    int state, ended;
    for (;;) {
#define BOTH                                                                                          \
    if (step(&a) && (state = next_block(queue, &a, &lanes[0])) != GOES_ON && (ended = 0, 1)) break; \
    if (step(&b) && (state = next_block(queue, &b, &lanes[1])) != GOES_ON && (ended = 1, 1)) break;
        BOTH BOTH BOTH /* 56 bits, less two lookups of LOOK bits, are enough for any third one */
        refill(&a);
        refill(&b);
    }
    *first = a;
    *second = b;
    return state == DAMAGED ? -1 : !ended;
}

static int decode_one(work_queue *queue, hot_state s, lane *l) {
    int state;
    refill(&s);
    for (;;) {
        if (step(&s) && (state = next_block(queue, &s, l)) != GOES_ON) break;
        if (step(&s) && (state = next_block(queue, &s, l)) != GOES_ON) break;
        if (step(&s) && (state = next_block(queue, &s, l)) != GOES_ON) break;
        refill(&s);
    }
    return state == DAMAGED ? JPEG_DAMAGED : JPEG_OK;
}

/* Decodes segments, each one's streams being its own. */
int decode_segments(const region_context *region, segment *segments, int count) {
    work_queue queue = {region, segments, segments + count};
    lane lanes[2];
    hot_state states[2];
    int busy = 0;
    for (; busy < 2; busy++) {
        lanes[busy].work = NULL;
        lanes[busy].number = 0;
        if (next_part(&queue, &lanes[busy]) != GOES_ON) break;
        load(&states[busy], &lanes[busy]);
        if (start_block(&queue, &states[busy], &lanes[busy]) != GOES_ON) return JPEG_DAMAGED;
    }
    if (!busy) return JPEG_OK;
    int left = busy == 2 ? decode_both(&queue, &states[0], &states[1], lanes) : 0;
    return left < 0 ? JPEG_DAMAGED : decode_one(&queue, states[left], &lanes[left]);
}
