/* libjpeg's inverse DCTs that make 4 x 4, 2 x 2 or 1 sample of a block (jidctred.c), in the arithmetic of
 * libjpeg-turbo's vector code. */
#include "region.h"

#define F_0_211 1730
#define F_0_509 4176
#define F_0_601 4926
#define F_0_720 5906
#define F_0_765 6270
#define F_0_850 6967
#define F_0_899 7373
#define F_1_061 8697
#define F_1_272 10426
#define F_1_451 11893
#define F_1_847 15137
#define F_2_172 17799
#define F_2_562 20995
#define F_3_624 29692

static inline int16_t saturated(int32_t value) {
    return (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}

static inline uint8_t sample(int value) {
    value += 128;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* 4 results of 8 inputs that lie `step` apart; the fifth input counts for nothing. */
static inline void four(const int16_t *in, int step, int16_t *out, int out_step, const int shift) {
    int32_t v1 = in[step], v2 = in[2 * step], v3 = in[3 * step], v5 = in[5 * step], v6 = in[6 * step], v7 = in[7 * step];
    int32_t even0 = in[0] * (1 << 14) + (1 << (shift - 1)), even2 = v2 * F_1_847 - v6 * F_0_765;
    int32_t odd0 = v1 * F_1_061 - v3 * F_2_172 + v5 * F_1_451 - v7 * F_0_211;
    int32_t odd2 = v1 * F_2_562 + v3 * F_0_899 - v5 * F_0_601 - v7 * F_0_509;
    out[0] = saturated((even0 + even2 + odd2) >> shift);
    out[3 * out_step] = saturated((even0 + even2 - odd2) >> shift);
    out[out_step] = saturated((even0 - even2 + odd0) >> shift);
    out[2 * out_step] = saturated((even0 - even2 - odd0) >> shift);
}

static void idct_4(const int16_t *in, uint8_t *out, int stride) {
    int16_t half[32], all[16];
    for (int c = 0; c < 8; c++)
        if (c != 4) four(in + c, 8, half + c, 8, 13 - 2 + 1);
    for (int r = 0; r < 4; r++) {
        four(half + 8 * r, 1, all + 4 * r, 1, 13 + 2 + 3 + 1);
        for (int c = 0; c < 4; c++) out[r * (ptrdiff_t)stride + c] = sample(all[4 * r + c]);
    }
}

/* 2 results of inputs 0, 1, 3, 5 and 7. */
static inline void two(const int16_t *in, int step, int32_t out[2], const int shift) {
    int32_t even = in[0] * (1 << 15) + (1 << (shift - 1));
    int32_t odd = in[step] * F_3_624 - in[3 * step] * F_1_272 + in[5 * step] * F_0_850 - in[7 * step] * F_0_720;
    out[0] = (even + odd) >> shift;
    out[1] = (even - odd) >> shift;
}

static void idct_2(const int16_t *in, uint8_t *out, int stride) {
    int16_t half[16];
    int32_t both[2];
    for (int c = 0; c < 8; c++) {
        if (c == 2 || c == 4 || c == 6) continue;
        two(in + c, 8, both, 13 - 2 + 2);
        half[c] = saturated(both[0]);
        half[8 + c] = saturated(both[1]);
    }
    for (int r = 0; r < 2; r++) {
        two(half + 8 * r, 1, both, 13 + 2 + 3 + 2);
        for (int c = 0; c < 2; c++) out[r * (ptrdiff_t)stride + c] = sample(saturated(both[c]));
    }
}

void idct_scaled(const int16_t *block, const int16_t *quant, int size, uint8_t *out, int stride) {
    if (size == 1) {
        int value = ((block[0] * quant[0] + 4) >> 3) & 1023; /* wraps as libjpeg's range_limit does */
        *out = sample(value < 512 ? value : value - 1024);
        return;
    }
    int16_t scaled[64];
    for (int i = 0; i < 64; i++) scaled[i] = (int16_t)(block[i] * quant[2 * (i & ~7) + (i & 7)]);
    if (size == 4) idct_4(scaled, out, stride);
    else idct_2(scaled, out, stride);
}
