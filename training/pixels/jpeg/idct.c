/* The accurate integer inverse DCT of libjpeg (Loeffler, Ligtenberg and Moschytz, ICASSP 1989; 13 bits of fraction, 2
 * kept between the passes), in the arithmetic of libjpeg-turbo's vector code: products with the quantisation table and sums of
 * inputs have 16 bits, results of each pass saturate. */
#include "region.h"

#define F_0_298 2446
#define F_0_390 3196
#define F_0_541 4433
#define F_0_765 6270
#define F_0_899 7373
#define F_1_175 9633
#define F_1_501 12299
#define F_1_847 15137
#define F_1_961 16069
#define F_2_053 16819
#define F_2_562 20995
#define F_3_072 25172
#define SHIFT_1 11 /* 13 - 2 */
#define SHIFT_2 18 /* 13 + 2 + 3 */

#ifdef REGION_AVX2

#define PAIR(a, b) _mm256_set1_epi32((int)((uint32_t)(uint16_t)(int16_t)(a) | (uint32_t)(uint16_t)(int16_t)(b) << 16))

/* x * a + y * b of the words of two vectors, as 32 bits: low halves of the lanes, then high ones. */
#define MULTIPLY(low, high, x, y, a, b)                                     \
    __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(x, y), PAIR(a, b)), \
            high = _mm256_madd_epi16(_mm256_unpackhi_epi16(x, y), PAIR(a, b))

#define BUTTERFLY(sum, difference, even, odd, shift)                                          \
    do {                                                                                      \
        __m256i sum_low = _mm256_srai_epi32(_mm256_add_epi32(even##_low, odd##_low), shift);    \
        __m256i sum_high = _mm256_srai_epi32(_mm256_add_epi32(even##_high, odd##_high), shift); \
        __m256i less_low = _mm256_srai_epi32(_mm256_sub_epi32(even##_low, odd##_low), shift);    \
        __m256i less_high = _mm256_srai_epi32(_mm256_sub_epi32(even##_high, odd##_high), shift); \
        sum = _mm256_packs_epi32(sum_low, sum_high);                                              \
        difference = _mm256_packs_epi32(less_low, less_high);                                       \
    } while (0)

#define ADD(x, y) x##_low = _mm256_add_epi32(x##_low, y##_low), x##_high = _mm256_add_epi32(x##_high, y##_high)

/* One pass over the first index of v, two blocks side by side. */
static inline __attribute__((always_inline)) void pass(__m256i v[8], const int shift) {
    const __m256i zero = _mm256_setzero_si256(), half = _mm256_set1_epi32(1 << (shift - 1));
    MULTIPLY(even3_low, even3_high, v[2], v[6], F_0_541 + F_0_765, F_0_541);
    MULTIPLY(even2_low, even2_high, v[2], v[6], F_0_541, F_0_541 - F_1_847);
    __m256i sum = _mm256_add_epi16(v[0], v[4]), difference = _mm256_sub_epi16(v[0], v[4]);
    __m256i even0_low = _mm256_add_epi32(_mm256_srai_epi32(_mm256_unpacklo_epi16(zero, sum), 3), half);
    __m256i even0_high = _mm256_add_epi32(_mm256_srai_epi32(_mm256_unpackhi_epi16(zero, sum), 3), half);
    __m256i even1_low = _mm256_add_epi32(_mm256_srai_epi32(_mm256_unpacklo_epi16(zero, difference), 3), half);
    __m256i even1_high = _mm256_add_epi32(_mm256_srai_epi32(_mm256_unpackhi_epi16(zero, difference), 3), half);
    __m256i a_low = _mm256_add_epi32(even0_low, even3_low), a_high = _mm256_add_epi32(even0_high, even3_high);
    __m256i d_low = _mm256_sub_epi32(even0_low, even3_low), d_high = _mm256_sub_epi32(even0_high, even3_high);
    __m256i b_low = _mm256_add_epi32(even1_low, even2_low), b_high = _mm256_add_epi32(even1_high, even2_high);
    __m256i c_low = _mm256_sub_epi32(even1_low, even2_low), c_high = _mm256_sub_epi32(even1_high, even2_high);

    __m256i z3 = _mm256_add_epi16(v[3], v[7]), z4 = _mm256_add_epi16(v[1], v[5]);
    MULTIPLY(z3_low, z3_high, z3, z4, F_1_175 - F_1_961, F_1_175);
    MULTIPLY(z4_low, z4_high, z3, z4, F_1_175, F_1_175 - F_0_390);
    MULTIPLY(odd0_low, odd0_high, v[7], v[1], F_0_298 - F_0_899, -F_0_899);
    MULTIPLY(odd3_low, odd3_high, v[7], v[1], -F_0_899, F_1_501 - F_0_899);
    MULTIPLY(odd1_low, odd1_high, v[5], v[3], F_2_053 - F_2_562, -F_2_562);
    MULTIPLY(odd2_low, odd2_high, v[5], v[3], -F_2_562, F_3_072 - F_2_562);
    ADD(odd0, z3), ADD(odd1, z4), ADD(odd2, z3), ADD(odd3, z4);
    BUTTERFLY(v[0], v[7], a, odd3, shift);
    BUTTERFLY(v[1], v[6], b, odd2, shift);
    BUTTERFLY(v[2], v[5], c, odd1, shift);
    BUTTERFLY(v[3], v[4], d, odd0, shift);
}

/* 8 x 8 words in each lane. */
static inline __attribute__((always_inline)) void transpose(__m256i v[8]) {
    __m256i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi16(v[2 * i], v[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi16(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            b[4 * i + 2 * j] = _mm256_unpacklo_epi32(a[4 * i + j], a[4 * i + j + 2]);
            b[4 * i + 2 * j + 1] = _mm256_unpackhi_epi32(a[4 * i + j], a[4 * i + j + 2]);
        }
    for (int i = 0; i < 4; i++) {
        v[2 * i] = _mm256_unpacklo_epi64(b[i], b[i + 4]);
        v[2 * i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 4]);
    }
}

/* Where all rows of a block but the first are 0, that code shifts the first one instead, in 16 bits that wrap: another
 * result for numbers that only damaged pictures have. v: before the first pass. Gives those blocks' lanes, all bits set. */
static __attribute__((noinline)) __m256i shifted_lanes(const __m256i v[8]) {
    __m256i rest = v[1];
    for (int i = 2; i < 8; i++) rest = _mm256_or_si256(rest, v[i]);
    __m128i low = _mm256_castsi256_si128(rest), high = _mm256_extracti128_si256(rest, 1);
    return _mm256_setr_m128i(_mm_set1_epi8((char)-_mm_testz_si128(low, low)), _mm_set1_epi8((char)-_mm_testz_si128(high, high)));
}

static inline int has_large(__m256i row) { /* that do not fit when they are shifted */
    __m256i back = _mm256_srai_epi16(_mm256_slli_epi16(row, 2), 2);
    return _mm256_movemask_epi8(_mm256_cmpeq_epi16(row, back)) != -1;
}

/* Blocks a and b to 8 rows of 16 samples. */
void idct_pair(const int16_t *a, const int16_t *b, const int16_t *quant, uint8_t *out, int stride) {
    __m256i v[8];
    for (int i = 0; i < 8; i++) {
        __m256i both = _mm256_castsi128_si256(_mm_load_si128((const __m128i *)(a + 8 * i)));
        both = _mm256_inserti128_si256(both, _mm_load_si128((const __m128i *)(b + 8 * i)), 1);
        v[i] = _mm256_mullo_epi16(both, _mm256_load_si256((const __m256i *)(quant + 16 * i)));
    }
    if (__builtin_expect(has_large(v[0]), 0)) {
        __m256i lanes = shifted_lanes(v), shifted = _mm256_slli_epi16(v[0], 2);
        pass(v, SHIFT_1);
        for (int i = 0; i < 8; i++) v[i] = _mm256_blendv_epi8(v[i], shifted, lanes);
    } else pass(v, SHIFT_1);
    transpose(v);
    pass(v, SHIFT_2);
    transpose(v);
    for (int i = 0; i < 8; i += 2, out += 2 * (ptrdiff_t)stride) {
        __m256i bytes = _mm256_add_epi8(_mm256_packs_epi16(v[i], v[i + 1]), _mm256_set1_epi8(-128));
        bytes = _mm256_permute4x64_epi64(bytes, 0xD8);
        _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(bytes));
        _mm_storeu_si128((__m128i *)(out + stride), _mm256_extracti128_si256(bytes, 1));
    }
}

#else

static inline int16_t saturated(int32_t value) {
    return (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}

/* Over columns of 8 x 8; the result is turned. 32 bits that wrap. */
static inline void pass(const int16_t *in, int16_t *out, const int shift) {
#define TIMES(x, factor) ((uint32_t)(x) * (uint32_t)(factor))
    for (int c = 0; c < 8; c++, in++, out += 8) {
        int32_t v1 = in[8], v2 = in[16], v3 = in[24], v5 = in[40], v6 = in[48], v7 = in[56];
        int32_t z3 = (int16_t)(v3 + v7), z4 = (int16_t)(v1 + v5);
        uint32_t half = 1u << (shift - 1);
        uint32_t even0 = TIMES((int16_t)(in[0] + in[32]), 1 << 13) + half;
        uint32_t even1 = TIMES((int16_t)(in[0] - in[32]), 1 << 13) + half;
        uint32_t even2 = TIMES(v2, F_0_541) + TIMES(v6, F_0_541 - F_1_847);
        uint32_t even3 = TIMES(v2, F_0_541 + F_0_765) + TIMES(v6, F_0_541);
        uint32_t z5 = TIMES(z3, F_1_175 - F_1_961) + TIMES(z4, F_1_175);
        uint32_t z6 = TIMES(z3, F_1_175) + TIMES(z4, F_1_175 - F_0_390);
        uint32_t odd0 = TIMES(v7, F_0_298 - F_0_899) - TIMES(v1, F_0_899) + z5;
        uint32_t odd1 = TIMES(v5, F_2_053 - F_2_562) - TIMES(v3, F_2_562) + z6;
        uint32_t odd2 = TIMES(v3, F_3_072 - F_2_562) - TIMES(v5, F_2_562) + z5;
        uint32_t odd3 = TIMES(v1, F_1_501 - F_0_899) - TIMES(v7, F_0_899) + z6;
        uint32_t even[4] = {even0 + even3, even1 + even2, even1 - even2, even0 - even3}, odd[4] = {odd3, odd2, odd1, odd0};
        for (int i = 0; i < 4; i++) {
            out[i] = saturated((int32_t)(even[i] + odd[i]) >> shift);
            out[7 - i] = saturated((int32_t)(even[i] - odd[i]) >> shift);
        }
    }
#undef TIMES
}

static void idct_one(const int16_t *block, const int16_t *quant, uint8_t *out, int stride) {
    int16_t scaled[64], turned[64];
    for (int i = 0; i < 64; i++) scaled[i] = (int16_t)(block[i] * quant[2 * (i & ~7) + (i & 7)]);
    int rest = 0;
    for (int i = 8; i < 64; i++) rest |= scaled[i];
    if (rest) pass(scaled, turned, SHIFT_1);
    else /* a shortcut of that code, in 16 bits that wrap: damaged pictures alone have numbers that large */
        for (int i = 0; i < 64; i++) turned[i] = (int16_t)(uint16_t)((uint32_t)scaled[i >> 3] << 2);
    pass(turned, scaled, SHIFT_2);
    for (int i = 0; i < 64; i++) {
        int value = scaled[i] + 128;
        out[(i >> 3) * (ptrdiff_t)stride + (i & 7)] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

void idct_pair(const int16_t *a, const int16_t *b, const int16_t *quant, uint8_t *out, int stride) {
    idct_one(a, quant, out, stride);
    idct_one(b, quant, out + 8, stride);
}

#endif
