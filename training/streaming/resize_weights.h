/* Which source pixels make a target pixel, and how much of each: one axis of a resizing.

   Source: Pillow's Resample.c (precompute_coeffs, normalize_coeffs_8bpc), whose numbers these are, float32 box included. */
#ifndef TARN_RESIZE_WEIGHTS_H
#define TARN_RESIZE_WEIGHTS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum filter { ANTIALIAS, EXACT, BILINEAR };
enum { EXACT_BITS = 22, MOST_FAST_TAPS = 32 }; /* more taps than that would add up too many rounding errors */

struct axis {
    int taps;          /* of each target pixel; those it does not need weigh 0 */
    int exact;         /* weights are of 22 bits, else of 16, each twice in its 32 bits for the broadcast */
    int identity;      /* target pixel i is source pixel i */
    int32_t *first;    /* [size] source pixel of the first tap */
    int32_t *needed;   /* [size] taps of a weight above 0, all of them at the beginning */
    uint32_t *weights; /* [size][taps] */
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

/* One target pixel's taps, normalised; returns their number. */
static int pillow_taps(float from, double scale, int source, int place, int *first, double *weights) {
    double reach = scale < 1 ? 1 : scale, inverse = 1 / reach, centre = from + (place + 0.5) * scale, sum = 0;
    int begin = (int)(centre - reach + 0.5), end = (int)(centre + reach + 0.5);
    begin = begin < 0 ? 0 : begin;
    end = end > source ? source : end;
    for (int i = begin; i < end; i++) sum += weights[i - begin] = triangle((i - centre + 0.5) * inverse);
    double norm = sum != 0 ? sum : 1;
    for (int i = begin; i < end; i++) weights[i - begin] /= norm;
    *first = begin;
    return end - begin;
}

static int bilinear_taps(float from, double scale, int source, int place, int *first, double *weights) {
    double at = from + (place + 0.5) * scale - 0.5, last = source - 1;
    at = at < 0 ? 0 : at > last ? last : at;
    *first = (int)at;
    weights[0] = 1 - (at - *first);
    weights[1] = at - *first;
    return weights[1] > 0 ? 2 : 1;
}

/* The target pixel's weights as integers; the fast ones are rounded such that their sum is 1. */
static void store_weights(struct axis *axis, int place, int first, int count, const double *weights, int source) {
    int shift = 0; /* where the taps would end behind the picture they begin earlier */
    uint32_t *out = axis->weights + (size_t)place * axis->taps;
    double sum = 0.5;
    uint32_t before = 0;
    while (count > 1 && weights[count - 1] == 0) count--;
    if (first + axis->taps > source) shift = first + axis->taps - source;
    for (int k = 0; k < axis->taps; k++) out[k] = 0;
    for (int k = 0; k < count; k++) {
        if (axis->exact) {
            out[k + shift] = (uint32_t)(0.5 + weights[k] * (1 << EXACT_BITS));
            continue;
        }
        sum += weights[k] * 65536;
        uint32_t weight = (uint32_t)sum - before;
        before = (uint32_t)sum;
        out[k + shift] = (weight > 65535 ? 65535 : weight) * 0x10001u;
    }
    axis->first[place] = first - shift;
    axis->needed[place] = count + shift;
}

/* Weights of an axis of `source` pixels, of which [from, to) becomes `size` pixels. Uses room for `taps` + 2 doubles. */
static void fill_axis(struct axis *axis, enum filter filter, double from, double to, int source, int size, double *room) {
    float begin = (float)from, end = (float)to;
    double scale = (double)(end - begin) / size;
    axis->identity = begin == 0 && end == (float)size && source == size;
    for (int place = 0; place < size; place++) {
        int first, count;
        if (filter == BILINEAR) count = bilinear_taps(begin, scale, source, place, &first, room);
        else count = pillow_taps(begin, scale, source, place, &first, room);
        store_weights(axis, place, first, count, room, source);
    }
}

#endif
