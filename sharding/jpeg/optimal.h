/* Huffman tables made for the symbols of one picture. */
#ifndef TARN_OPTIMAL_H
#define TARN_OPTIMAL_H

#include "jpeg.h"

typedef struct {
    uint8_t counts[16], symbols[256]; /* as a DHT segment tells them */
    int32_t used;                     /* symbols */
    uint16_t code[256];
    uint8_t length[256]; /* bits; 0: the symbol has no code */
} huffman_code;

/* frequencies: of the symbols; at least one is above 0. */
void huffman_optimise(const uint32_t frequencies[256], huffman_code *out);

#endif
