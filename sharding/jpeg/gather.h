#ifndef TARN_GATHER_H
#define TARN_GATHER_H

#include "symbols.h"

/* The symbols of one scan of all components, out of a picture of several scans: a progressive one (SOF2), or a
 * sequential one (SOF0, SOF1) whose components have scans of their own; 8 bits, Huffman codes, 1 to 4 components.
 *
 * header: of the frame; its quants are those that the components were coded with. Returns a jpeg_reason. Refused is all
 * that decoders may differ about: JPEG_INCOMPLETE where a bit of any coefficient did not come (libjpeg smooths blocks of
 * such pictures, so that they have pixels which no baseline picture has), JPEG_SCANS where one comes twice, JPEG_DAMAGED
 * where codes or markers are not as they must be, JPEG_TOO_LARGE beyond most_pixels. */
int jpeg_gather(const uint8_t *data, size_t size, size_t most_pixels, jpeg_header *header, symbol_list *list);

#endif
