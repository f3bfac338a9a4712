/* A block's part of a scan. Nothing is forgiven: whatever decoders might differ about is JPEG_DAMAGED.
 *
 * A block takes less than BITS_PADDING bytes of whatever data, so the caller's look behind it is early enough. */
#include "scan.h"

static inline int next_bit(bit_reader *in) {
    int bit = in->data[in->at >> 3] >> (7 - (in->at & 7)) & 1;
    in->at++;
    return bit;
}

/* Reads a symbol, or -1, and leaves the bits behind it in *bits, highest first. */
static inline int next_symbol(bit_reader *in, const jpeg_huffman *table, uint64_t *bits) {
    *bits = bits_peek(in);
    int entry = huffman_read(table, *bits);
    if (entry < 0) return -1;
    *bits <<= entry >> 8;
    in->at += (unsigned)(entry >> 8);
    return entry & 255;
}

static inline int next_value(bit_reader *in, uint64_t bits, int size) {
    in->at += (unsigned)size;
    return size ? bits_extend((int)(bits >> (64 - size)), size) : 0;
}

static inline int next_dc(jpeg_scan *scan, int i, bit_reader *in) {
    uint64_t bits;
    int size = next_symbol(in, &scan->dc[i], &bits);
    if (size < 0 || size > 11) return JPEG_DAMAGED;
    int value = scan->last[i] + next_value(in, bits, size), reach = (DC_LARGEST + 1) >> scan->low;
    if (value > reach || value < -reach) return JPEG_DAMAGED;
    scan->last[i] = value;
    return JPEG_OK;
}

int scan_sequential(jpeg_scan *scan, int i, bit_reader *in, int16_t *block) {
    int reason = next_dc(scan, i, in);
    if (reason) return reason;
    block[0] = (int16_t)scan->last[i];
    for (int k = 1; k < 64; k++) {
        uint64_t bits;
        int symbol = next_symbol(in, &scan->ac[i], &bits), size = symbol & 15;
        if (symbol < 0 || size > 10) return JPEG_DAMAGED;
        if (symbol == 0) break;
        if (!size && symbol != 0xF0) return JPEG_DAMAGED;
        k += symbol >> 4;
        if (k > 63 || (!size && k > 62)) return JPEG_DAMAGED;
        if (size) block[k] = (int16_t)next_value(in, bits, size);
    }
    return JPEG_OK;
}

int scan_dc_first(jpeg_scan *scan, int i, bit_reader *in, int16_t *block) {
    int reason = next_dc(scan, i, in);
    block[0] = (int16_t)(scan->last[i] * (1 << scan->low)); /* G.1.2.1: shifted as two's complement is */
    return reason;
}

int scan_dc_refined(jpeg_scan *scan, int i, bit_reader *in, int16_t *block) {
    (void)i;
    block[0] |= (int16_t)(next_bit(in) << scan->low);
    return JPEG_OK;
}

/* How many blocks an end-of-band symbol ends, this one among them (table G.1). */
static inline uint32_t band_ends(bit_reader *in, uint64_t bits, int size) {
    in->at += (unsigned)size;
    return (1u << size) + (size ? (uint32_t)(bits >> (64 - size)) : 0);
}

int scan_ac_first(jpeg_scan *scan, int i, bit_reader *in, int16_t *block) {
    if (scan->skipped) {
        scan->skipped--;
        return JPEG_OK;
    }
    for (int k = scan->first; k <= scan->end; k++) {
        uint64_t bits;
        int symbol = next_symbol(in, &scan->ac[i], &bits), size = symbol & 15, run = symbol >> 4;
        if (symbol < 0 || size > 10) return JPEG_DAMAGED;
        if (!size && run < 15) {
            scan->skipped = band_ends(in, bits, run) - 1;
            break;
        }
        k += run;
        if (k > scan->end || (!size && k == scan->end)) return JPEG_DAMAGED;
        if (!size) continue;
        int value = next_value(in, bits, size) * (1 << scan->low); /* G.1.2.2: the magnitude is shifted */
        if (value > AC_LARGEST || value < -AC_LARGEST) return JPEG_DAMAGED;
        block[k] = (int16_t)value;
    }
    return JPEG_OK;
}

/* One more bit of a coefficient that is not 0. */
static inline void refine(bit_reader *in, int16_t *coefficient, int bit) {
    if (next_bit(in)) *coefficient = (int16_t)(*coefficient + (*coefficient > 0 ? bit : -bit));
}

/* G.1.2.3 and figure G.7: between the symbols of new coefficients stand the next bits of known ones. */
int scan_ac_refined(jpeg_scan *scan, int i, bit_reader *in, int16_t *block) {
    int k = scan->first, bit = 1 << scan->low;
    while (k <= scan->end && !scan->skipped) {
        uint64_t bits;
        int symbol = next_symbol(in, &scan->ac[i], &bits), zeros = symbol >> 4, value = 0;
        if (symbol < 0 || (symbol & 15) > (bit <= AC_LARGEST)) return JPEG_DAMAGED;
        if (symbol & 15) value = next_bit(in) ? bit : -bit;
        else if (zeros < 15) {
            scan->skipped = band_ends(in, bits, zeros);
            break;
        }
        for (; k <= scan->end; k++) {
            if (block[k]) refine(in, &block[k], bit);
            else if (!zeros--) break;
        }
        if (k > scan->end) return JPEG_DAMAGED; /* a run beyond the band's end */
        block[k++] = (int16_t)value;
    }
    if (scan->skipped) {
        for (; k <= scan->end; k++)
            if (block[k]) refine(in, &block[k], bit);
        scan->skipped--;
    }
    return JPEG_OK;
}
