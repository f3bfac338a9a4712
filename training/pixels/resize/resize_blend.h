/* The two steps that resizing consists of: weighted sums of lines of bytes, and exchanging rows and columns.

   Vectors of 32 bytes in the compilers' portable notation (clang; GCC 12 or newer), which they map to AVX2, or to pairs
   of SSE or NEON registers; values are the same everywhere, and with RESIZE_PORTABLE defined. */
#ifndef TARN_RESIZE_BLEND_H
#define TARN_RESIZE_BLEND_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__) && !defined(RESIZE_PORTABLE)
#include <immintrin.h>
#endif

#include "resize_weights.h"

enum { LINE = 32, UNIT = 16 };

typedef uint8_t u8x32 __attribute__((vector_size(32)));
typedef uint8_t u8x8 __attribute__((vector_size(8)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef uint16_t u16x32 __attribute__((vector_size(64)));
typedef uint32_t u32x8 __attribute__((vector_size(32)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef int32_t i32x8 __attribute__((vector_size(32)));

#define INLINE static inline __attribute__((always_inline))

/* Upper halves of products, and upper bytes of words in their order: compilers do not see each time that AVX2 has
   instructions for these. */
#if defined(__AVX2__) && !defined(RESIZE_PORTABLE)
INLINE u16x16 high_product(u16x16 a, u16x16 b) { return (u16x16)_mm256_mulhi_epu16((__m256i)a, (__m256i)b); }

INLINE u8x32 upper_bytes(u16x16 first, u16x16 second) {
    __m256i packed = _mm256_packus_epi16((__m256i)(first >> 8), (__m256i)(second >> 8));
    return (u8x32)_mm256_permute4x64_epi64(packed, 0xd8);
}
#else
INLINE u16x16 high_product(u16x16 a, u16x16 b) {
    u32x16 product = __builtin_convertvector(a, u32x16) * __builtin_convertvector(b, u32x16);
    return __builtin_convertvector(product >> 16, u16x16);
}

INLINE u8x32 upper_bytes(u16x16 first, u16x16 second) {
    u16x32 both;
    memcpy(&both, &first, LINE);
    memcpy((uint8_t *)&both + LINE, &second, LINE);
    return __builtin_convertvector(both >> 8, u8x32);
}
#endif

INLINE u16x16 broadcast(uint32_t twice) { return (u16x16)((u32x8){0} + twice); }

/* Sums of `taps` lines of 32 bytes, `step` bytes apart, as numbers of 8 + 8 bits: of the bytes at even places and of
   those at odd ones, so that none has to move: a word's one byte is shifted up, of its other the lower byte is blanked.
   Each product loses half a unit on average to truncation, which is given back at the start. */
INLINE void sum_bytes(u16x16 *out, const uint8_t *lines, ptrdiff_t step, const uint32_t *weights, int taps) {
    u16x16 even = (u16x16){0} + (uint16_t)(taps / 2), odd = even;
    for (int k = 0; k < taps; k++) {
        u16x16 line, weight = broadcast(weights[k]);
        memcpy(&line, lines + k * step, LINE);
        even += high_product(line << 8, weight);
        odd += high_product(line & 0xff00, weight);
    }
    out[0] = even;
    out[1] = odd;
}

/* 32 bytes out of `taps` lines of numbers of 8 + 8 bits, `step` numbers apart. */
INLINE u8x32 sum_words(const uint16_t *lines, ptrdiff_t step, const uint32_t *weights, int taps) {
    u16x16 first = (u16x16){0} + (uint16_t)(128 + taps / 2), second = first;
    for (int k = 0; k < taps; k++) {
        u16x16 line[2], weight = broadcast(weights[k]);
        memcpy(line, lines + k * step, sizeof line);
        first += high_product(line[0], weight);
        second += high_product(line[1], weight);
    }
    return upper_bytes(first, second);
}

/* 32 bytes out of `taps` lines of bytes, in Pillow's arithmetic. */
INLINE u8x32 exact_sum(const uint8_t *lines, ptrdiff_t step, const uint32_t *weights, int taps) {
    i32x8 sum[4];
    u8x32 out;
    for (int part = 0; part < 4; part++) sum[part] = (i32x8){0} + (1 << (EXACT_BITS - 1));
    for (int k = 0; k < taps; k++) {
        for (int part = 0; part < 4; part++) {
            u8x8 bytes;
            memcpy(&bytes, lines + k * step + part * 8, 8);
            sum[part] += __builtin_convertvector(bytes, i32x8) * (int32_t)weights[k];
        }
    }
    for (int part = 0; part < 4; part++) {
        i32x8 whole = sum[part] >> EXACT_BITS;
        u8x8 bytes = __builtin_convertvector((whole | (whole > 255)) & (whole >= 0), u8x8);
        memcpy((uint8_t *)&out + part * 8, &bytes, 8);
    }
    return out;
}

/* Small numbers of taps are known to the compiler, which then unrolls their loops. */
#define FOR_TAPS(taps, call)   \
    switch (taps) {            \
        case 2: call(2); break; \
        case 3: call(3); break; \
        case 4: call(4); break; \
        case 5: call(5); break; \
        default: call(taps);   \
    }

INLINE u8x32 blend_line(const void *lines, int at, ptrdiff_t step, const uint32_t *weights, int taps, int exact) {
    return exact ? exact_sum((const uint8_t *)lines + at, step, weights, taps)
                 : sum_words((const uint16_t *)lines + at, step, weights, taps);
}

/* A target row: `bytes` bytes, written nowhere else; source lines may be read up to the next multiple of 32. */
INLINE void blend_row(uint8_t *out, int bytes, const void *lines, ptrdiff_t step, const uint32_t *weights, int taps,
                      int exact) {
    int at = 0;
    for (; at + LINE <= bytes; at += LINE) {
        u8x32 sum = blend_line(lines, at, step, weights, taps, exact);
        memcpy(out + at, &sum, LINE);
    }
    if (at < bytes) {
        u8x32 sum = blend_line(lines, at, step, weights, taps, exact);
        memcpy(out + at, &sum, bytes - at);
    }
}

/* Target columns out of source columns: each is a line of 32 rows, three of them are a pixel. A target column is a vector
   of bytes where exact, else two of words: those of even and of odd rows. */
INLINE void blend_columns(u16x16 *out, const uint8_t *lines, const struct axis *axis, int size, int flip, int taps,
                          int exact) {
    for (int place = 0; place < size; place++) {
        const uint8_t *first = lines + (ptrdiff_t)axis->first[place] * 3 * LINE;
        const uint32_t *weights = axis->weights + (size_t)place * axis->room;
        ptrdiff_t column = 3 * (ptrdiff_t)(flip ? size - 1 - place : place);
        for (int channel = 0; channel < 3; channel++) {
            const uint8_t *line = first + channel * LINE;
            if (exact) out[column + channel] = (u16x16)exact_sum(line, 3 * LINE, weights, taps);
            else sum_bytes(out + 2 * (column + channel), line, 3 * LINE, weights, taps);
        }
    }
}

/* Without it arrays of vectors would live in memory. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define PAIRS(i, n) i, i + n, i + 1, i + 1 + n, i + 2, i + 2 + n, i + 3, i + 3 + n
#define LOW_BYTES PAIRS(0, 32), PAIRS(4, 32), PAIRS(16, 32), PAIRS(20, 32)
#define HIGH_BYTES PAIRS(8, 32), PAIRS(12, 32), PAIRS(24, 32), PAIRS(28, 32)
#define LOW_WORDS PAIRS(0, 16), PAIRS(8, 16)
#define HIGH_WORDS PAIRS(4, 16), PAIRS(12, 16)

/* 16 lines of 32 bytes become 32 lines of 16, the first 16 of them at `low`, the others at `high`. Four rounds, each of
   which interleaves line i with line i + 8 within the vectors' halves. */
INLINE void transpose_bytes(const uint8_t *lines, ptrdiff_t step, uint8_t *low, uint8_t *high, ptrdiff_t out_step) {
    u8x32 now[16], next[16];
    UNROLL for (int i = 0; i < 16; i++) memcpy(&now[i], lines + i * step, LINE);
    UNROLL for (int round = 0; round < 4; round++) {
        UNROLL for (int i = 0; i < 8; i++) {
            next[2 * i] = __builtin_shufflevector(now[i], now[i + 8], LOW_BYTES);
            next[2 * i + 1] = __builtin_shufflevector(now[i], now[i + 8], HIGH_BYTES);
        }
        UNROLL for (int i = 0; i < 16; i++) now[i] = next[i];
    }
    UNROLL for (int i = 0; i < 16; i++) {
        memcpy(low + i * out_step, &now[i], 16);
        memcpy(high + i * out_step, (const uint8_t *)&now[i] + 16, 16);
    }
}

/* 8 lines, `step` vectors apart, of 16 words become 16 lines of 8 words, the first 8 of them at `low`. */
INLINE void transpose_words(const u16x16 *lines, ptrdiff_t step, uint16_t *low, uint16_t *high, ptrdiff_t out_step) {
    u16x16 now[8], next[8];
    UNROLL for (int i = 0; i < 8; i++) now[i] = lines[i * step];
    UNROLL for (int round = 0; round < 3; round++) {
        UNROLL for (int i = 0; i < 4; i++) {
            next[2 * i] = __builtin_shufflevector(now[i], now[i + 4], LOW_WORDS);
            next[2 * i + 1] = __builtin_shufflevector(now[i], now[i + 4], HIGH_WORDS);
        }
        UNROLL for (int i = 0; i < 8; i++) now[i] = next[i];
    }
    UNROLL for (int i = 0; i < 8; i++) {
        memcpy(low + i * out_step, &now[i], 16);
        memcpy(high + i * out_step, (const uint8_t *)&now[i] + 16, 16);
    }
}

#endif
