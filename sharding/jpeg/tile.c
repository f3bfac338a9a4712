/* Lossless tiling: the coefficients' symbols are read once, counted, and written anew between restart markers. */
#include "tile.h"

#include "bits.h"
#include "gather.h"
#include "write.h"

typedef struct {
    const jpeg_header *header;
    jpeg_huffman dc[4], ac[4];
    jpeg_layout layout;
} tiling;

int jpeg_tile_interval(const jpeg_header *header, int side) {
    int best = header->mcus_x, row = header->mcus_x;
    double nearest = 3.0; /* no tile beyond a third or three times of what is wanted */
    for (int mcus = 1; mcus <= row; mcus++) {
        if (row % mcus) continue;
        double ratio = (double)mcus * header->mcu_width / side;
        if (ratio < 1) ratio = 1 / ratio;
        if (ratio <= nearest) {
            nearest = ratio;
            best = mcus;
        }
    }
    return best;
}

/* One block's symbols; *last: the component's DC value before and after. */
static int read_block(bit_reader *in, const jpeg_huffman *dc, const jpeg_huffman *ac, int *last, uint32_t *ac_counts,
                      symbol_list *list) {
    uint64_t bits = bits_peek(in);
    int entry = huffman_read(dc, bits), size = entry & 255, length = entry >> 8;
    if (entry < 0 || size > 11) return JPEG_DAMAGED;
    if (size) *last += bits_extend((int)(bits << length >> (64 - size)), size);
    if (*last > DC_LARGEST || *last < -DC_LARGEST) return JPEG_DAMAGED;
    in->at += (unsigned)(length + size);
    uint32_t *out = list->symbols + list->count;
    *out++ = (uint32_t)(*last + DC_BIAS);
    for (int k = 1; k < 64;) {
        bits = bits_peek(in);
        entry = huffman_read(ac, bits);
        if (entry < 0) return JPEG_DAMAGED;
        length = entry >> 8;
        int symbol = entry & 255;
        size = symbol & 15;
        in->at += (unsigned)(length + size);
        ac_counts[symbol]++;
        if (size) {
            if (size > 10) return JPEG_DAMAGED;
            *out++ = (uint32_t)symbol << 16 | (uint32_t)(bits << length >> (64 - size));
            k += (symbol >> 4) + 1;
            if (k > 64) return JPEG_DAMAGED; /* a run beyond the block's end: decoders differ about it */
            continue;
        }
        *out++ = (uint32_t)symbol << 16;
        if (symbol == 0) break;
        if (symbol != 0xF0) return JPEG_DAMAGED;
        k += 16;
        if (k > 63) return JPEG_DAMAGED;
    }
    if (in->at > in->end) return JPEG_DAMAGED;
    list->count = (size_t)(out - list->symbols);
    return JPEG_OK;
}

/* The symbols of `mcus` MCUs that stand together between two markers. */
static int read_interval(const tiling *job, bit_reader *in, int mcus, symbol_list *list) {
    const jpeg_header *header = job->header;
    int last[3] = {0, 0, 0};
    for (int mcu = 0; mcu < mcus; mcu++)
        for (int i = 0; i < header->components; i++)
            for (int n = 0; n < job->layout.blocks[i]; n++) {
                if (!has_room(list)) return JPEG_NO_MEMORY;
                int reason =
                    read_block(in, &job->dc[header->dc[i]], &job->ac[header->ac[i]], &last[i], list->ac[table_of(i)], list);
                if (reason) return reason;
            }
    return in->end - in->at < 8 ? JPEG_OK : JPEG_DAMAGED; /* nothing but the last byte's filling may be left */
}

/* All symbols of the scan, whatever restart markers it has already. */
static int read_scan(const tiling *job, const uint8_t *data, size_t size, uint8_t *plain, symbol_list *list) {
    const jpeg_header *header = job->header;
    int left = header->mcus_x * header->mcus_y, marker = 0;
    size_t at = (size_t)header->entropy, end = jpeg_scan_end(data, size, at);
    if (end + 2 > size || data[end + 1] != 0xD9) return JPEG_DAMAGED;
    while (left) {
        int mcus = header->interval && header->interval < left ? header->interval : left;
        size_t stop = end, told = end;
        if (mcus < left) {
            for (stop = at; stop + 1 < end; stop++)
                if (data[stop] == 0xFF && data[stop + 1]) break;
            told = jpeg_behind_filling(data, end, stop);
            if (told >= end || data[told] != 0xD0 + marker) return JPEG_DAMAGED;
            marker = (marker + 1) & 7;
        } else stop = jpeg_without_filling(data, at, end);
        size_t length = bits_unstuff(data + at, stop - at, plain);
        if (length == SIZE_MAX) return JPEG_DAMAGED;
        memset(plain + length, 0, BITS_PADDING);
        bit_reader in = {plain, 0, 8 * (uint64_t)length};
        int reason = read_interval(job, &in, mcus, list);
        if (reason) return reason;
        at = told + 1;
        left -= mcus;
    }
    return JPEG_OK;
}

/* A picture that is baseline already. */
static int tile_baseline(const uint8_t *data, size_t size, const jpeg_header *header, int side, uint8_t *out,
                         size_t capacity, size_t *written) {
    int reason = JPEG_OK;
    tiling *job = calloc(1, sizeof *job);
    symbol_list *list = calloc(1, sizeof *list);
    uint8_t *plain = malloc(size + BITS_PADDING);
    if (!job || !list || !plain) reason = JPEG_NO_MEMORY;
    if (!reason) {
        job->header = job->layout.header = header;
        job->layout.interval = jpeg_tile_interval(header, side);
        if (job->layout.interval >= header->mcus_x * header->mcus_y) reason = JPEG_NO_GAIN;
        for (int i = 0; i < header->components; i++) {
            job->layout.blocks[i] = header->components == 1 ? 1 : header->h[i] * header->v[i];
            if (!jpeg_huffman_build(header->huffs[0][header->dc[i]], &job->dc[header->dc[i]])) reason = JPEG_TABLES;
            if (!jpeg_huffman_build(header->huffs[1][header->ac[i]], &job->ac[header->ac[i]])) reason = JPEG_TABLES;
        }
    }
    if (!reason) reason = read_scan(job, data, size, plain, list);
    if (!reason) reason = jpeg_write(&job->layout, data, list, out, capacity, written);
    if (list) free(list->symbols);
    free(list);
    free(job);
    free(plain);
    return reason;
}

/* Any other one, whose scans are gathered first. Where training's region decoder does not read what comes of it, or one
 * tile holds all, there is no marker in it: it is baseline, and quicker to decode for that alone. */
static int tile_scans(const uint8_t *data, size_t size, size_t most_pixels, int side, uint8_t *out, size_t capacity,
                      size_t *written) {
    jpeg_header header;
    symbol_list *list = calloc(1, sizeof *list);
    if (!list) return JPEG_NO_MEMORY;
    int reason = jpeg_gather(data, size, most_pixels, &header, list);
    jpeg_layout layout = {.header = &header, .anew = 1};
    int left = JPEG_OK;
    if (!reason) {
        layout.interval = jpeg_tile_interval(&header, side);
        if (header.components != 1 && header.components != 3) left = JPEG_COMPONENTS;
        for (int i = 0; i < header.components; i++) {
            layout.blocks[i] = header.components == 1 ? 1 : header.h[i] * header.v[i];
            if (!left && i && header.h[i] * header.v[i] != 1) left = JPEG_SAMPLING;
        }
        if (!left && layout.interval >= header.mcus_x * header.mcus_y) left = JPEG_NO_GAIN;
        if (left) layout.interval = 0;
        reason = jpeg_write(&layout, data, list, out, capacity, written);
    }
    free(list->symbols);
    free(list);
    return reason ? reason : left;
}

int jpeg_tile(const uint8_t *data, size_t size, size_t most_pixels, int side, uint8_t *out, size_t capacity,
              size_t *written) {
    jpeg_header header;
    *written = 0;
    int reason = jpeg_parse(data, size, &header);
    if (reason == JPEG_PROGRESSIVE || reason == JPEG_SCANS)
        return tile_scans(data, size, most_pixels, side, out, capacity, written);
    return reason ? reason : tile_baseline(data, size, &header, side, out, capacity, written);
}
