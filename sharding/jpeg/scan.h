/* One scan of a picture of several, sequential or progressive (T.81, F.2 and G.2), read into its coefficients. */
#ifndef TARN_SCAN_H
#define TARN_SCAN_H

#include "bits.h"
#include "coefficients.h"

typedef struct jpeg_scan jpeg_scan;

/* Reads one block of the scan's i-th component. Returns a jpeg_reason. */
typedef int block_reader(jpeg_scan *scan, int i, bit_reader *in, int16_t *block);

struct jpeg_scan {
    int count, of[4];      /* components, in the frame's order */
    int first, end;        /* the band: coefficients first to end, both included */
    int high, low;         /* bits that were missing before, and will be behind it (T.81's Ah and Al) */
    int last[4];           /* DC values, shifted */
    uint32_t skipped;      /* blocks whose band is over already (an end-of-band run) */
    block_reader *read;
    jpeg_huffman dc[4], ac[4];
};

block_reader scan_sequential, scan_dc_first, scan_dc_refined, scan_ac_first, scan_ac_refined;

/* Reads a scan's header, looks whether its turn has come, and notes what it brings. Returns a jpeg_reason. */
int scan_header(const uint8_t *at, const uint8_t *end, jpeg_coefficients *all, jpeg_scan *scan);

/* Reads its data, all of [data, data + size). plain: room for size + BITS_PADDING. Returns a jpeg_reason. */
int scan_data(const uint8_t *data, size_t size, const jpeg_coefficients *all, jpeg_scan *scan, uint8_t *plain);

#endif
