/* Chroma to full size (libjpeg's "fancy" triangle filter, or plain repetition) and YCbCr to RGB (JFIF 1.02), as
 * libjpeg-turbo rounds them. */
#include "region.h"

/* Repeats the component's first and last column where the strip has them: the filter takes one neighbour each side. */
void pad_strip(const component *part, int rows) {
    if (!part->fancy_x) return;
    int64_t last = part->samples_x - 1 - part->from_x, columns = part->stride - 2 * MARGIN;
    for (int i = 0; i < rows; i++) {
        uint8_t *row = part->strip + (ptrdiff_t)(i + 1) * part->stride;
        if (part->from_x == 0) row[-1] = row[0];
        if (last < columns) row[last + 1] = row[last];
    }
}

static void double_row(const uint8_t *in, int count, uint8_t *out) {
    for (int i = 0; i < count; i++) {
        int nearer = 3 * in[i];
        out[2 * i] = (uint8_t)((nearer + in[i - 1] + 1) >> 2);
        out[2 * i + 1] = (uint8_t)((nearer + in[i + 1] + 2) >> 2);
    }
}

static void double_both(const uint8_t *near, const uint8_t *far, int count, uint8_t *out) {
    for (int i = 0; i < count; i++) {
        int left = 3 * near[i - 1] + far[i - 1], here = 3 * near[i] + far[i], right = 3 * near[i + 1] + far[i + 1];
        out[2 * i] = (uint8_t)((3 * here + left + 8) >> 4);
        out[2 * i + 1] = (uint8_t)((3 * here + right + 7) >> 4);
    }
}

static void blend_rows(const uint8_t *near, const uint8_t *far, int bias, int count, uint8_t *out) {
    for (int i = 0; i < count; i++) out[i] = (uint8_t)((3 * near[i] + far[i] + bias) >> 2);
}

static void repeat(const uint8_t *in, int times, int count, uint8_t *out) {
    if (times == 2)
        for (int i = 0; i < count; i++) out[2 * i] = out[2 * i + 1] = in[i];
    else
        for (int i = 0; i < count; i++)
            for (int j = 0; j < times; j++) *out++ = in[i];
}

/* Row y of the picture from `left` on, at full size. The strip begins one row above `first_row` of the component. */
const uint8_t *upsample_row(const component *part, int y, int first_row, int left, int right) {
    int row = y / part->expand_y, x = left / part->expand_x - part->from_x;
    int count = (right - 1) / part->expand_x - left / part->expand_x + 1;
    const uint8_t *near = part->strip + (ptrdiff_t)(row - first_row + 1) * part->stride + x, *far = near;
    int above = !(y & 1);
    if (part->fancy_y && (above ? row > 0 : row + 1 < part->samples_y)) far += above ? -part->stride : part->stride;
    if (part->fancy_x && part->fancy_y) double_both(near, far, count, part->upsampled);
    else if (part->fancy_x) double_row(near, count, part->upsampled);
    else if (part->fancy_y) blend_rows(near, far, above ? 1 : 2, count, part->upsampled);
    else if (part->expand_x > 1) repeat(near, part->expand_x, count, part->upsampled);
    else return near;
    return part->upsampled + left % part->expand_x;
}

static inline uint8_t sample(int value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value); }

#ifdef REGION_AVX2

/* Three times 32 bytes to 32 pixels; in each lane 16 bytes of each colour become 48. */
static inline __attribute__((always_inline)) void store_pixels(__m256i r, __m256i g, __m256i b, uint8_t *out) {
#define M(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))
    const __m256i r_turn = M(0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10, 5);
    const __m256i g_turn = M(5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10);
    const __m256i b_turn = M(10, 5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15);
    const __m256i second = M(0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0);
    const __m256i third = M(0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0);
#undef M
    r = _mm256_shuffle_epi8(r, r_turn);
    g = _mm256_shuffle_epi8(g, g_turn);
    b = _mm256_shuffle_epi8(b, b_turn);
    __m256i p0 = _mm256_blendv_epi8(_mm256_blendv_epi8(r, g, second), b, third);
    __m256i p1 = _mm256_blendv_epi8(_mm256_blendv_epi8(g, b, second), r, third);
    __m256i p2 = _mm256_blendv_epi8(_mm256_blendv_epi8(b, r, second), g, third);
    _mm256_storeu_si256((__m256i *)out, _mm256_permute2x128_si256(p0, p1, 0x20));
    _mm256_storeu_si256((__m256i *)(out + 32), _mm256_permute2x128_si256(p2, p0, 0x30));
    _mm256_storeu_si256((__m256i *)(out + 64), _mm256_permute2x128_si256(p1, p2, 0x31));
}

static inline __attribute__((always_inline)) __m256i wide(const uint8_t *in) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)in));
}

/* 16 pixels. Products as libjpeg-turbo takes them: (2 c F >> 16) + 1 >> 1 is c F + 32768 >> 16. */
static inline __attribute__((always_inline)) void convert(const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                                                         __m256i rgb[3]) {
    const __m256i centre = _mm256_set1_epi16(128), one = _mm256_set1_epi16(1);
    __m256i luma = wide(y), blue = _mm256_sub_epi16(wide(cb), centre), red = _mm256_sub_epi16(wide(cr), centre);
    __m256i b = _mm256_mulhi_epi16(_mm256_add_epi16(blue, blue), _mm256_set1_epi16(-14942)); /* 1.772 - 2 */
    __m256i r = _mm256_mulhi_epi16(_mm256_add_epi16(red, red), _mm256_set1_epi16(26345));    /* 1.402 - 1 */
    b = _mm256_add_epi16(_mm256_srai_epi16(_mm256_add_epi16(b, one), 1), _mm256_add_epi16(blue, blue));
    r = _mm256_add_epi16(_mm256_srai_epi16(_mm256_add_epi16(r, one), 1), red);
    const __m256i factors = _mm256_set1_epi32((int)((uint32_t)(uint16_t)-22554 | 18734u << 16)); /* -0.34414, 1 - 0.71414 */
    const __m256i half = _mm256_set1_epi32(32768);
    __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(blue, red), factors);
    __m256i high = _mm256_madd_epi16(_mm256_unpackhi_epi16(blue, red), factors);
    low = _mm256_srai_epi32(_mm256_add_epi32(low, half), 16);
    high = _mm256_srai_epi32(_mm256_add_epi32(high, half), 16);
    __m256i g = _mm256_sub_epi16(_mm256_packs_epi32(low, high), red);
    rgb[0] = _mm256_add_epi16(luma, r);
    rgb[1] = _mm256_add_epi16(luma, g);
    rgb[2] = _mm256_add_epi16(luma, b);
}

static inline __attribute__((always_inline)) __m256i narrow(__m256i low, __m256i high) {
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(low, high), 0xD8);
}

static inline __attribute__((always_inline)) void convert_32(const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                                                            uint8_t *out) {
    __m256i low[3], high[3];
    convert(y, cb, cr, low);
    convert(y + 16, cb + 16, cr + 16, high);
    store_pixels(narrow(low[0], high[0]), narrow(low[1], high[1]), narrow(low[2], high[2]), out);
}

/* Reads up to 31 samples beyond the row. */
void rows_to_rgb(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int width, uint8_t *out) {
    int x = 0;
    for (; x + 32 <= width; x += 32) convert_32(y + x, cb + x, cr + x, out + 3 * (size_t)x);
    if (x == width) return;
    uint8_t rest[96];
    convert_32(y + x, cb + x, cr + x, rest);
    memcpy(out + 3 * (size_t)x, rest, 3 * (size_t)(width - x));
}

#else

void rows_to_rgb(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int width, uint8_t *out) {
    for (int x = 0; x < width; x++, out += 3) {
        int blue = cb[x] - 128, red = cr[x] - 128;
        out[0] = sample(y[x] + ((91881 * red + 32768) >> 16));
        out[1] = sample(y[x] + ((-22554 * blue - 46802 * red + 32768) >> 16));
        out[2] = sample(y[x] + ((116130 * blue + 32768) >> 16));
    }
}

#endif

void rows_interleave(const uint8_t *r, const uint8_t *g, const uint8_t *b, int width, uint8_t *out) {
    for (int x = 0; x < width; x++, out += 3) {
        out[0] = r[x];
        out[1] = g[x];
        out[2] = b[x];
    }
}
