/* libjpeg's inverse DCTs that make 4 x 4, 2 x 2 or 1 sample of a block (jidctred.c), in the arithmetic of
 * libjpeg-turbo's vector code: 16 bits into either pass, 32 bits that wrap within. Vectors are in the compilers' portable
 * notation; two blocks share the second pass. */
#include "region.h"

typedef uint32_t words __attribute__((vector_size(32))); /* one for each column, or for each row of both blocks */
typedef int32_t numbers __attribute__((vector_size(32)));
typedef int16_t row_of_8 __attribute__((vector_size(16)));
typedef uint16_t bits_of_8 __attribute__((vector_size(16)));

static inline words splat(int32_t value) {
    uint32_t it = (uint32_t)value;
    return (words){it, it, it, it, it, it, it, it};
}

/* Shifted to the right, into [-32768, 32767]. */
static inline words descaled(words value, int shift) {
    numbers number = (numbers)(value + splat(1 << (shift - 1))) >> shift;
    numbers high = (numbers)splat(32767), low = (numbers)splat(-32768), over = number > high, under = number < low;
    return (words)((number & ~(over | under)) | (high & over) | (low & under));
}

/* 4 results of 8 inputs; the fifth counts for nothing. */
static inline void four(const words in[8], words out[4], const int shift) {
    words even0 = in[0] << 14, even2 = in[2] * 15137 - in[6] * 6270;
    words odd0 = in[1] * 8697 - in[3] * 17799 + in[5] * 11893 - in[7] * 1730;
    words odd2 = in[1] * 20995 + in[3] * 7373 - in[5] * 4926 - in[7] * 4176;
    out[0] = descaled(even0 + even2 + odd2, shift);
    out[3] = descaled(even0 + even2 - odd2, shift);
    out[1] = descaled(even0 - even2 + odd0, shift);
    out[2] = descaled(even0 - even2 - odd0, shift);
}

/* 2 results of inputs 0, 1, 3, 5 and 7. */
static inline void two(const words in[8], words out[2], const int shift) {
    words even = in[0] << 15, odd = in[1] * 29692 - in[3] * 10426 + in[5] * 6967 - in[7] * 5906;
    out[0] = descaled(even + odd, shift);
    out[1] = descaled(even - odd, shift);
}

static inline void dequantise(const int16_t *block, const int16_t *quant, words rows[8]) {
    for (int i = 0; i < 8; i++) {
        bits_of_8 coefficients, factors;
        memcpy(&coefficients, block + 8 * i, 16);
        memcpy(&factors, quant + 16 * i, 16);
        rows[i] = (words)__builtin_convertvector((row_of_8)(coefficients * factors), numbers);
    }
}

static inline uint8_t sample(int32_t value) {
    value += 128;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Columns, of each block alone; then rows of both, those of b in the upper half. */
static inline void both_passes(const int16_t *a, const int16_t *b, const int16_t *quant, const int size, uint8_t *out,
                               int stride) {
    words rows[8], half[2][4], columns[8], result[4];
    for (int which = 0; which < 2; which++) {
        dequantise(which ? b : a, quant, rows);
        if (size == 4) four(rows, half[which], 13 - 2 + 1);
        else two(rows, half[which], 13 - 2 + 2);
    }
    for (int c = 0; c < 8; c++)
        columns[c] = size == 4 ? (words){half[0][0][c], half[0][1][c], half[0][2][c], half[0][3][c],
                                         half[1][0][c], half[1][1][c], half[1][2][c], half[1][3][c]}
                               : (words){half[0][0][c], half[0][1][c], 0, 0, half[1][0][c], half[1][1][c], 0, 0};
    if (size == 4) four(columns, result, 13 + 2 + 3 + 1);
    else two(columns, result, 13 + 2 + 3 + 2);
    for (int r = 0; r < size; r++, out += stride)
        for (int c = 0; c < size; c++) {
            out[c] = sample((int32_t)result[c][r]);
            out[size + c] = sample((int32_t)result[c][r + 4]);
        }
}

static uint8_t mean(const int16_t *block, const int16_t *quant) {
    int value = ((block[0] * quant[0] + 4) >> 3) & 1023; /* wraps as libjpeg's range_limit does */
    return sample(value < 512 ? value : value - 1024);
}

/* Blocks a and b to `size` rows of twice as many samples. */
void idct_scaled_pair(const int16_t *a, const int16_t *b, const int16_t *quant, int size, uint8_t *out, int stride) {
    if (size == 4) both_passes(a, b, quant, 4, out, stride);
    else if (size == 2) both_passes(a, b, quant, 2, out, stride);
    else {
        out[0] = mean(a, quant);
        out[1] = mean(b, quant);
    }
}
