#ifndef TARN_CUT_H
#define TARN_CUT_H

#include "jpeg.h"

typedef struct {
    int32_t left, top, right, bottom; /* px, right and bottom excluded */
} jpeg_box;

typedef struct {
    int32_t columns; /* tiles in a row of tiles */
    int32_t width;   /* MCUs of a tile's width */
    int32_t height;  /* rows of MCUs of a tile */
} jpeg_tiles;

/* How the restart markers divide the picture; 0 where they do not make tiles. */
int jpeg_tiles_of(const jpeg_header *header, jpeg_tiles *tiles);

/* The smallest region of whole tiles from which a decoder makes the box's pixels as it makes them from the picture. */
jpeg_box jpeg_cover(const jpeg_header *header, const jpeg_tiles *tiles, jpeg_box box);

/* Writes a JPEG of its own that shows *region, which covers the box. Returns a jpeg_reason; JPEG_NO_GAIN where the
 * picture is not tiled or all of it is needed, then nothing is written. Tiles that are copied are not read. */
int jpeg_cut(const uint8_t *data, size_t size, const jpeg_box *box, uint8_t *out, size_t capacity, size_t *written,
             jpeg_box *region);

#endif
