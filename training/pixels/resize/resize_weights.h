/* Which source pixels make a target pixel, and how much of each: one axis of a resizing.

   Source: Pillow's Resample.c (precompute_coeffs, normalize_coeffs_8bpc), whose numbers these are, float32 box included. */
#ifndef TARN_RESIZE_WEIGHTS_H
#define TARN_RESIZE_WEIGHTS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum filter { ANTIALIAS, EXACT, BILINEAR, EXACT_DOWN_FIRST, BICUBIC, BICUBIC_DOWN_FIRST };
enum { EXACT_BITS = 22, MOST_FAST_TAPS = 32 }; /* more taps than that would add up too many rounding errors */

/* One axis of a resizing: [from, to) of `source` pixels, beyond which nothing is, becomes `size` target pixels. */
struct stretch {
    double from, to;
    int source, size;
    int first;  /* target pixel that is made first: a window of them may be */
    int origin; /* source pixel at which the pixels that are given begin: those of a window suffice */
};

struct axis {
    int taps;          /* of each target pixel; those it does not need weigh 0 */
    int room;          /* what is laid out for them */
    int exact;         /* weights are of 22 bits and a sign, else of 16, each twice in its 32 bits for the broadcast */
    int identity;      /* target pixel i is given pixel i */
    int32_t *first;    /* [size] given pixel of the first tap */
    int32_t *needed;   /* [size] taps of a weight other than 0, all of them at the beginning */
    uint32_t *weights; /* [size][room] */
};

/* Source pixels on either side that make a target pixel. */
static double reach_of(enum filter filter, double scale) { return (filter == BICUBIC ? 2 : 1) * (scale < 1 ? 1 : scale); }

static int most_taps(enum filter filter, const struct stretch *stretch) {
    double scale = ((float)stretch->to - (float)stretch->from) / stretch->size;
    int taps = filter == BILINEAR ? 2 : 2 * (int)ceil(reach_of(filter, scale)) + 1;
    return taps < stretch->source ? taps : stretch->source;
}

static double triangle(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Keys 1981, "Cubic convolution interpolation for digital image processing", with a = -1/2. */
static double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* One target pixel's taps, of the sum `sum`; returns their number. Pillow's order of operations: last bits count. */
static inline int antialias_taps(int is_cubic, float from, double scale, double reach, double inverse, int source, int place,
                                 int *first, double *weights, double *sum) {
    double centre = from + (place + 0.5) * scale;
    int begin = (int)(centre - reach + 0.5), end = (int)(centre + reach + 0.5);
    begin = begin < 0 ? 0 : begin;
    end = end > source ? source : end;
    int count = end - begin;
    *sum = 0;
    for (int i = 0; i < count; i++) {
        double away = (i + begin - centre + 0.5) * inverse;
        *sum += weights[i] = is_cubic ? cubic(away) : triangle(away);
    }
    while (count > 1 && weights[count - 1] == 0) count--;
    *first = begin;
    return count;
}

static inline int bilinear_taps(float from, double scale, int source, int place, int *first, double *weights) {
    double at = from + (place + 0.5) * scale - 0.5, last = source - 1;
    at = at < 0 ? 0 : at > last ? last : at;
    *first = (int)at;
    weights[0] = 1 - (at - *first);
    weights[1] = at - *first;
    return weights[1] > 0 ? 2 : 1;
}

static inline void store_exact(uint32_t *out, const double *weights, double sum, int count) {
    for (int k = 0; k < count; k++) {
        double weight = weights[k] / sum * (1 << EXACT_BITS);
        out[k] = (uint32_t)(int32_t)(weight + copysign(0.5, weight));
    }
}

/* Rounded such that they sum up to 1, less the one unit which a weight of 1 would need a further bit for. */
static inline void store_fast(uint32_t *out, const double *weights, double sum, int count) {
    double unit = 65536 / sum, upto = 0.5;
    int32_t before = 0;
    for (int k = 0; k < count; k++) {
        upto += weights[k] * unit;
        int32_t now = (int32_t)upto, weight = now - before;
        out[k] = (uint32_t)(weight > 65535 ? 65535 : weight) * 0x10001u;
        before = now;
    }
}

/* All target pixels get as many taps: those with fewer get some of weight 0, before theirs at the picture's end. */
static void fill_up(struct axis *axis, int given, int size) {
    axis->taps = 1;
    for (int place = 0; place < size; place++)
        if (axis->needed[place] > axis->taps) axis->taps = axis->needed[place];
    for (int place = 0; place < size; place++) {
        uint32_t *weights = axis->weights + (size_t)place * axis->room;
        int shift = axis->first[place] + axis->taps - given;
        for (int k = axis->needed[place]; k < axis->taps; k++) weights[k] = 0;
        if (shift <= 0) continue;
        for (int k = axis->taps - 1; k >= 0; k--) weights[k] = k >= shift ? weights[k - shift] : 0;
        axis->first[place] -= shift;
        axis->needed[place] += shift;
    }
}

/* Weights of `size` target pixels of a stretch, over `given` pixels; `unrounded` has room for a pixel's. Returns whether
   all pixels that have a part are among those given. */
static int fill_axis(struct axis *axis, enum filter filter, const struct stretch *stretch, int given, int size,
                     double *unrounded) {
    float begin = (float)stretch->from, end = (float)stretch->to;
    double scale = (double)(end - begin) / stretch->size, reach = reach_of(filter, scale), sum = 1;
    double inverse = 1 / (scale < 1 ? 1 : scale);
    int source = stretch->source;
    axis->identity = begin == 0 && end == (float)stretch->size && source == stretch->size &&
                     stretch->first == stretch->origin;
    for (int made = 0; made < size; made++) {
        uint32_t *weights = axis->weights + (size_t)made * axis->room;
        int first, place = stretch->first + made;
        int count;
        if (filter == BILINEAR) count = bilinear_taps(begin, scale, source, place, &first, unrounded);
        else if (filter == BICUBIC)
            count = antialias_taps(1, begin, scale, reach, inverse, source, place, &first, unrounded, &sum);
        else count = antialias_taps(0, begin, scale, reach, inverse, source, place, &first, unrounded, &sum);
        if (first < stretch->origin || first + count > stretch->origin + given) return 0;
        if (axis->exact) store_exact(weights, unrounded, sum, count);
        else store_fast(weights, unrounded, sum, count);
        axis->first[made] = first - stretch->origin;
        axis->needed[made] = count;
    }
    fill_up(axis, given, size);
    return 1;
}

#endif
