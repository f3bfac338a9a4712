#include "gather.h"

#include "scan.h"

/* A scan costs a few bytes and a walk over all blocks: this bounds the time that a file can ask for. Each coefficient of
 * three components in a scan of its own would be 192. */
#define MOST_SCANS 256

/* Of a segment between the scans, or before them, but frame and scan headers. */
static int read_segment(int marker, const uint8_t *body, const uint8_t *end, jpeg_header *header) {
    if (marker == 0xDB) return jpeg_read_quants(body, end, header);
    if (marker == 0xC4) return jpeg_read_huffs(body, end, header);
    if (marker == 0xCC) return JPEG_ARITHMETIC;
    if (marker == 0xDC) return JPEG_DAMAGED; /* another height */
    if (marker == 0xDD) {
        if (end - body != 2) return JPEG_DAMAGED;
        header->interval = body[0] << 8 | body[1];
    }
    return JPEG_OK;
}

static int read_scans(const uint8_t *data, size_t size, size_t most_pixels, jpeg_coefficients *all, jpeg_scan *scan,
                      uint8_t *plain) {
    size_t at = 2;
    int scans = 0, reason = JPEG_OK;
    while (!reason && at + 2 <= size) {
        if (data[at] != 0xFF) return JPEG_DAMAGED;
        int marker = data[at + 1];
        if (marker == 0xFF) { /* fill byte (B.1.1.2) */
            at++;
            continue;
        }
        if (marker == 0xD9) return scans ? JPEG_OK : JPEG_NOT_JPEG;
        if (marker < 0xC0 || (marker >= 0xD0 && marker <= 0xD8) || at + 4 > size) return JPEG_DAMAGED;
        if (jpeg_is_unknown(marker)) return JPEG_DAMAGED;
        size_t length = 2 + (size_t)(data[at + 2] << 8 | data[at + 3]);
        if (length < 4 || length > size - at) return JPEG_DAMAGED;
        const uint8_t *body = data + at + 4, *end = data + at + length;
        if (marker == 0xDA) {
            if (!all->memory) return JPEG_DAMAGED;
            if (++scans > MOST_SCANS) return JPEG_SCANS;
            if (scans == 1) all->header.scan = (int32_t)at;
            if ((reason = scan_header(body, end, all, scan))) return reason;
            size_t stop = jpeg_scan_end(data, size, at + length);
            if (stop + 2 > size) return JPEG_DAMAGED;
            reason = scan_data(data + at + length, stop - at - length, all, scan, plain);
            at = stop;
            continue;
        }
        if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xCC) {
            if (all->memory) return JPEG_DAMAGED;
            if (marker > 0xC2) return marker > 0xC8 ? JPEG_ARITHMETIC : JPEG_LOSSLESS;
            all->header.frame = (int32_t)at;
            reason = coefficients_frame(marker, body, end, most_pixels, all);
        } else reason = read_segment(marker, body, end, &all->header);
        at += length;
    }
    return reason ? reason : JPEG_DAMAGED;
}

/* Whether all bits of all coefficients came, coded with one table for each selector. */
static int settle(jpeg_coefficients *all) {
    jpeg_header *header = &all->header;
    for (int i = 0; i < header->components; i++)
        for (int k = 0; k < 64; k++)
            if (all->components[i].missing[k]) return JPEG_INCOMPLETE;
    for (int i = 0; i < header->components; i++)
        for (int j = 0; j < i; j++)
            if (header->quant[i] == header->quant[j] && memcmp(all->components[i].quants, all->components[j].quants, 64))
                return JPEG_TABLES;
    for (int i = 0; i < header->components; i++) header->quants[header->quant[i]] = all->components[i].quants;
    return JPEG_OK;
}

int jpeg_gather(const uint8_t *data, size_t size, size_t most_pixels, jpeg_header *header, symbol_list *list) {
    jpeg_coefficients *all = calloc(1, sizeof *all);
    jpeg_scan *scan = calloc(1, sizeof *scan);
    uint8_t *plain = malloc(size + BITS_PADDING);
    int reason = all && scan && plain ? JPEG_OK : JPEG_NO_MEMORY;
    if (!reason) reason = read_scans(data, size, most_pixels, all, scan, plain);
    if (!reason) reason = settle(all);
    if (!reason) reason = coefficients_symbols(all, list);
    if (!reason) *header = all->header;
    if (all) free(all->memory);
    free(all);
    free(scan);
    free(plain);
    return reason;
}
