/* Which source pixels make a target pixel, and how much of each: one axis of a resizing.

   Source: Pillow's Resample.c (precompute_coeffs, normalize_coeffs_8bpc), whose numbers these are, float32 box included. */
#ifndef TARN_RESIZE_WEIGHTS_H
#define TARN_RESIZE_WEIGHTS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum filter { ANTIALIAS, EXACT, BILINEAR, EXACT_DOWN_FIRST };
enum { EXACT_BITS = 22, MOST_FAST_TAPS = 32 }; /* more taps than that would add up too many rounding errors */

struct axis {
    int taps;          /* of each target pixel; those it does not need weigh 0 */
    int room;          /* what is laid out for them */
    int exact;         /* weights are of 22 bits, else of 16, each twice in its 32 bits for the broadcast */
    int identity;      /* target pixel i is source pixel i */
    int32_t *first;    /* [size] source pixel of the first tap */
    int32_t *needed;   /* [size] taps of a weight above 0, all of them at the beginning */
    uint32_t *weights; /* [size][room] */
};

static int most_taps(enum filter filter, double from, double to, int source, int size) {
    double scale = ((float)to - (float)from) / size;
    int taps = filter == BILINEAR ? 2 : 2 * (int)ceil(scale < 1 ? 1 : scale) + 1;
    return taps < source ? taps : source;
}

static double triangle(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* One target pixel's taps, normalised; returns their number. Pillow's order of operations: last bits count. */
static int pillow_taps(float from, double scale, int source, int place, int *first, double *weights) {
    double reach = scale < 1 ? 1 : scale, inverse = 1 / reach, centre = from + (place + 0.5) * scale, sum = 0;
    int begin = (int)(centre - reach + 0.5), end = (int)(centre + reach + 0.5);
    begin = begin < 0 ? 0 : begin;
    end = end > source ? source : end;
    int count = end - begin;
    for (int i = 0; i < count; i++) sum += weights[i] = triangle((i + begin - centre + 0.5) * inverse);
    for (int i = 0; i < count && sum != 0; i++) weights[i] /= sum;
    while (count > 1 && weights[count - 1] == 0) count--;
    *first = begin;
    return count;
}

static int bilinear_taps(float from, double scale, int source, int place, int *first, double *weights) {
    double at = from + (place + 0.5) * scale - 0.5, last = source - 1;
    at = at < 0 ? 0 : at > last ? last : at;
    *first = (int)at;
    weights[0] = 1 - (at - *first);
    weights[1] = at - *first;
    return weights[1] > 0 ? 2 : 1;
}

static void store_exact(uint32_t *out, const double *weights, int count) {
    for (int k = 0; k < count; k++) out[k] = (uint32_t)(0.5 + weights[k] * (1 << EXACT_BITS));
}

/* Rounded such that they sum up to 1, less the one unit which a weight of 1 would need a further bit for. */
static void store_fast(uint32_t *out, const double *weights, int count) {
    double sum = 0.5;
    int32_t before = 0;
    for (int k = 0; k < count; k++) {
        sum += weights[k] * 65536;
        int32_t now = (int32_t)sum, weight = now - before;
        out[k] = (uint32_t)(weight > 65535 ? 65535 : weight) * 0x10001u;
        before = now;
    }
}

/* All target pixels get as many taps: those with fewer get some of weight 0, before theirs at the picture's end. */
static void fill_up(struct axis *axis, int source, int size) {
    axis->taps = 1;
    for (int place = 0; place < size; place++)
        if (axis->needed[place] > axis->taps) axis->taps = axis->needed[place];
    for (int place = 0; place < size; place++) {
        uint32_t *weights = axis->weights + (size_t)place * axis->room;
        int shift = axis->first[place] + axis->taps - source;
        for (int k = axis->needed[place]; k < axis->taps; k++) weights[k] = 0;
        if (shift <= 0) continue;
        for (int k = axis->taps - 1; k >= 0; k--) weights[k] = k >= shift ? weights[k - shift] : 0;
        axis->first[place] -= shift;
        axis->needed[place] += shift;
    }
}

/* Weights of an axis of `source` pixels, of which [from, to) becomes `size` pixels; `unrounded` has room for a pixel's. */
static void fill_axis(struct axis *axis, enum filter filter, double from, double to, int source, int size,
                      double *unrounded) {
    float begin = (float)from, end = (float)to;
    double scale = (double)(end - begin) / size;
    axis->identity = begin == 0 && end == (float)size && source == size;
    for (int place = 0; place < size; place++) {
        uint32_t *weights = axis->weights + (size_t)place * axis->room;
        int *first = &axis->first[place];
        int count = filter == BILINEAR ? bilinear_taps(begin, scale, source, place, first, unrounded)
                                       : pillow_taps(begin, scale, source, place, first, unrounded);
        if (axis->exact) store_exact(weights, unrounded, count);
        else store_fast(weights, unrounded, count);
        axis->needed[place] = count;
    }
    fill_up(axis, source, size);
}

#endif
