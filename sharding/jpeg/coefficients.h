/* All coefficients of a picture, as its scans bring them. */
#ifndef TARN_COEFFICIENTS_H
#define TARN_COEFFICIENTS_H

#include "symbols.h"

typedef struct {
    int16_t *blocks;       /* rows of blocks, each of 64 coefficients in zigzag order, quantised */
    int32_t columns, rows; /* blocks that hold a part of the picture: those of a scan of this component alone */
    int32_t stride;        /* blocks of a row in memory: whole MCUs */
    int32_t h, v;          /* blocks in an MCU of a scan of several components */
    const uint8_t *quants; /* the table in force at the component's first scan: it holds for all of them */
    int8_t missing[64];    /* low bits of a coefficient that did not come yet, NOT_SENT before its first scan */
} jpeg_component;

#define NOT_SENT (-1)

typedef struct {
    jpeg_header header;
    int progressive;
    jpeg_component components[4];
    int16_t *memory;
} jpeg_coefficients;

/* Reads a frame of 1 to 4 components of 8 bits, progressive or not, into header and components, and makes room for its
 * coefficients, all of them 0. at, end: the segment's content. Returns a jpeg_reason. */
int coefficients_frame(int marker, const uint8_t *at, const uint8_t *end, size_t most_pixels, jpeg_coefficients *all);

/* The symbols of a single scan of all components. Returns a jpeg_reason: JPEG_DAMAGED for coefficients that no baseline
 * picture can hold. */
int coefficients_symbols(const jpeg_coefficients *all, symbol_list *list);

#endif
