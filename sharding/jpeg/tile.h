#ifndef TARN_TILE_H
#define TARN_TILE_H

#include "jpeg.h"

/* MCUs between restart markers: the divisor of a row whose tile comes nearest to `side` px, or a whole row. */
int jpeg_tile_interval(const jpeg_header *header, int side);

/* Writes the picture with restart markers every jpeg_tile_interval MCUs and Huffman tables made for it: the same
 * coefficients, quantisation tables and metadata, hence the same pixels. Returns a jpeg_reason; *written: bytes.
 *
 * A picture of several scans becomes one of a single scan, a baseline one; where only that could be done, the reason
 * says why it is not tiled, and *written is not 0. most_pixels: beyond which such a one is left, for all of its
 * coefficients lie in memory, 2 bytes each. */
int jpeg_tile(const uint8_t *data, size_t size, size_t most_pixels, int side, uint8_t *out, size_t capacity,
              size_t *written);

#endif
