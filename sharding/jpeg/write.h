#ifndef TARN_WRITE_H
#define TARN_WRITE_H

#include "symbols.h"

typedef struct {
    const jpeg_header *header; /* of the picture that is written, its segments up to header->scan in the data */
    int blocks[4];             /* of a component in an MCU */
    int interval;              /* MCUs between restart markers, 0: none */
    int anew;                  /* 1: the frame becomes a baseline one, with header->quants[quant[i]] as its tables */
} jpeg_layout;

/* Writes a picture of one scan with Huffman tables made for it, and *written bytes. Returns a jpeg_reason. */
int jpeg_write(const jpeg_layout *layout, const uint8_t *data, symbol_list *list, uint8_t *out, size_t capacity,
               size_t *written);

#endif
