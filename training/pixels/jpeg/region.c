/* From a box to its pixels: which MCUs it needs, then row of MCUs by row: entropy decoding, inverse DCT into a strip per
 * component, upsampling, colour. One row's coefficients and samples stay in the processor's nearest caches. */
#include "region.h"

#include <stdlib.h>

region_context *region_new(void) { return calloc(1, sizeof(region_context)); }

void region_free(region_context *region) {
    if (region) free(region->memory);
    free(region);
}

static int clamp(int value, int low, int high) { return value < low ? low : value > high ? high : value; }

static int scaled_up(int64_t size, int64_t by, int64_t of) { return (int)((size * by + of - 1) / of); }

/* Component sizes and ways of upsampling, as libjpeg chooses them (jdmaster.c, jdsample.c). */
static int plan_components(region_context *region) {
    const jpeg_header *header = &region->tiles.header;
    int alone = header->components == 1, scale = region->scale;
    region->count = header->components;
    region->max_h = alone ? 1 : header->h[0]; /* chroma has 1 x 1: jpeg_parse saw to it */
    region->max_v = alone ? 1 : header->v[0];
    region->blocks = 0;
    for (int c = 0; c < region->count; c++) {
        component *part = &region->parts[c];
        part->h = c || alone ? 1 : header->h[c];
        part->v = c || alone ? 1 : header->v[c];
        region->blocks += part->h * part->v;
        part->size = scale;
        while (part->size < 8 && region->max_h * scale % (part->h * part->size * 2) == 0 &&
               region->max_v * scale % (part->v * part->size * 2) == 0)
            part->size *= 2;
        part->samples_x = scaled_up(header->width, part->h * part->size, 8 * region->max_h);
        part->samples_y = scaled_up(header->height, part->v * part->size, 8 * region->max_v);
        int group_x = part->h * part->size / scale, group_y = part->v * part->size / scale;
        if (region->max_h % group_x || region->max_v % group_y) return JPEG_SAMPLING;
        part->expand_x = region->max_h / group_x;
        part->expand_y = region->max_v / group_y;
        int smooth = scale > 1 && part->expand_x <= 2 && part->expand_y <= 2;
        part->fancy_x = smooth && part->expand_x == 2 && part->samples_x > 2;
        part->fancy_y = smooth && part->expand_y == 2 && (part->expand_x == 1 || part->samples_x > 2);
    }
    return JPEG_OK;
}

/* The output's box in the scaled picture, and the MCUs that have a say in it: a filtered component's pixel takes one
 * sample more towards its nearer side. */
static int plan_box(region_context *region, int left, int top, int right, int bottom) {
    const jpeg_header *header = &region->tiles.header;
    left = clamp(left, 0, header->width), right = clamp(right, 0, header->width);
    top = clamp(top, 0, header->height), bottom = clamp(bottom, 0, header->height);
    if (left >= right || top >= bottom) return -1;
    region->out_left = (int)((int64_t)left * region->scale / 8);
    region->out_top = (int)((int64_t)top * region->scale / 8);
    region->out_right = scaled_up(right, region->scale, 8);
    region->out_bottom = scaled_up(bottom, region->scale, 8);
    region->mcu_left = region->mcu_top = INT32_MAX;
    region->mcu_right = region->mcu_bottom = 0;
    for (int c = 0; c < region->count; c++) {
        const component *part = &region->parts[c];
        int fx = part->fancy_x, fy = part->fancy_y, across = part->h * part->size, down = part->v * part->size;
        int x0 = (region->out_left - fx) / part->expand_x, x1 = (region->out_right - 1 + fx) / part->expand_x;
        int y0 = (region->out_top - fy) / part->expand_y, y1 = (region->out_bottom - 1 + fy) / part->expand_y;
        x1 = clamp(x1, 0, part->samples_x - 1), y1 = clamp(y1, 0, part->samples_y - 1);
        if (x0 / across < region->mcu_left) region->mcu_left = x0 / across;
        if (y0 / down < region->mcu_top) region->mcu_top = y0 / down;
        if (x1 / across >= region->mcu_right) region->mcu_right = x1 / across + 1;
        if (y1 / down >= region->mcu_bottom) region->mcu_bottom = y1 / down + 1;
    }
    return JPEG_OK;
}

static int prepare_tables(region_context *region) {
    const jpeg_header *header = &region->tiles.header;
    int ready[2][4] = {{0}}, block = 0;
    for (int c = 0; c < region->count; c++) {
        component *part = &region->parts[c];
        int selected[2] = {header->dc[c], header->ac[c]};
        for (int kind = 0; kind < 2; kind++) {
            if (ready[kind][selected[kind]]++) continue;
            int reason = huffman_prepare(&region->tables[kind][selected[kind]], header->huffs[kind][selected[kind]], !kind);
            if (reason) return reason;
        }
        block_plan plan = {&region->tables[0][selected[0]], &region->tables[1][selected[1]], c};
        for (int i = 0; i < part->h * part->v; i++) region->plan[block++] = plan;
        const uint8_t *quants = header->quants[header->quant[c]];
        for (int k = 0; k < 64; k++) {
            int place = jpeg_natural_order[k], row = place >> 3, column = place & 7;
            part->quant[16 * row + column] = part->quant[16 * row + 8 + column] = quants[k];
        }
    }
    return JPEG_OK;
}

static size_t aligned(size_t size) { return (size + 63) & ~(size_t)63; }

/* Cuts the scratch memory into its parts; with `memory` NULL it only sums their sizes. */
static size_t lay_out(region_context *region, uint8_t *memory) {
    size_t mcus = (size_t)(region->mcu_right - region->mcu_left), blocks = mcus * (size_t)region->blocks, used = 0;
    if (memory) region->coefficients = (int16_t *)memory;
    used += aligned(blocks * 128);
    if (memory) region->last = memory + used;
    used += aligned(blocks);
    for (int c = 0; c < region->count; c++) {
        component *part = &region->parts[c];
        part->from_x = region->mcu_left * part->h * part->size;
        part->stride = (int)aligned(mcus * (size_t)(part->h * part->size)) + 2 * MARGIN;
        if (memory) part->strip = memory + used + MARGIN;
        used += (size_t)part->stride * (size_t)(part->v * part->size + 1) + MARGIN;
        if (memory) part->upsampled = memory + used;
        used += aligned((size_t)part->expand_x * (size_t)part->stride);
    }
    if (memory) region->tiles.unstuffed = memory + used;
    return used + region->tiles.size - (size_t)region->tiles.header.entropy + SLACK;
}

static int find_room(region_context *region) {
    size_t needed = lay_out(region, NULL);
    if (needed > region->capacity) {
        free(region->memory);
        region->capacity = 0;
        region->memory = aligned_alloc(64, aligned(needed + needed / 4));
        if (!region->memory) return JPEG_NO_MEMORY;
        region->capacity = aligned(needed + needed / 4);
        memset(region->memory, 0, region->capacity);
    }
    lay_out(region, region->memory);
    return JPEG_OK;
}

static void plan_reading(region_context *region) {
    tile_reader *tiles = &region->tiles;
    int64_t all = (int64_t)tiles->header.mcus_x * tiles->header.mcus_y;
    tiles->mcus_each = tiles->header.interval ? tiles->header.interval : all;
    tiles->intervals = (all + tiles->mcus_each - 1) / tiles->mcus_each;
    tiles->scanned = (size_t)tiles->header.entropy;
    tiles->interval = 0;
}

/* Coefficients of the region's part of a row of MCUs. */
static int read_row(region_context *region, int row) {
    tile_reader *tiles = &region->tiles;
    int64_t base = (int64_t)row * tiles->header.mcus_x, at = base + region->mcu_left, to = base + region->mcu_right;
    int16_t *blocks = region->coefficients;
    uint8_t *last = region->last;
    for (int64_t end; at < to; at = end) {
        int64_t interval = at / tiles->mcus_each;
        end = (interval + 1) * tiles->mcus_each;
        if (end > to) end = to;
        if (interval >= tiles->interval) {
            int reason = tiles_find(tiles, interval, &region->stream);
            if (reason) return reason;
            region->stream_at = interval * tiles->mcus_each;
        }
        int reason = decode_mcus(region, &region->stream, at - region->stream_at, NULL, NULL);
        if (!reason) reason = decode_mcus(region, &region->stream, end - at, blocks, last);
        if (reason) return reason;
        region->stream_at = end;
        blocks += (end - at) * region->blocks * 64;
        last += (end - at) * region->blocks;
    }
    return JPEG_OK;
}

static void fill_flat(const int16_t *block, const int16_t *quant, uint8_t *out, int stride) {
    int value = ((int16_t)(block[0] * quant[0] * 4) + 16) >> 5;
    for (int i = 0; i < 8; i++) memset(out + i * (ptrdiff_t)stride, clamp(value + 128, 0, 255), 8);
}

/* One row of blocks of a component; `first` is the leftmost one. */
static void transform_blocks(const region_context *region, const component *part, int first, uint8_t *out) {
    int count = (region->mcu_right - region->mcu_left) * part->h, size = part->size;
    for (int i = 0; i < count; i += 2, out += 2 * size) {
        int j = i + 1 < count ? i + 1 : i;
        int a = i / part->h * region->blocks + first + i % part->h, b = j / part->h * region->blocks + first + j % part->h;
        const int16_t *block_a = region->coefficients + 64 * (ptrdiff_t)a, *block_b = region->coefficients + 64 * (ptrdiff_t)b;
        if (size < 8) {
            idct_scaled_pair(block_a, block_b, part->quant, size, out, part->stride);
        } else if (region->last[a] | region->last[b]) {
            idct_pair(block_a, block_b, part->quant, out, part->stride);
        } else {
            fill_flat(block_a, part->quant, out, part->stride);
            fill_flat(block_b, part->quant, out + 8, part->stride);
        }
    }
}

/* Samples of a row of MCUs; the last row of the one before stays above them. */
static void transform_row(region_context *region) {
    int first = 0;
    for (int c = 0; c < region->count; c++) {
        component *part = &region->parts[c];
        int rows = part->v * part->size;
        size_t stride = (size_t)part->stride;
        memcpy(part->strip - MARGIN, part->strip - MARGIN + stride * (size_t)rows, stride);
        for (int v = 0; v < part->v; v++, first += part->h)
            transform_blocks(region, part, first, part->strip + stride * (size_t)(v * part->size + 1));
        pad_strip(part, rows);
    }
}

/* Writes pixel rows from `y` up to `end`, after MCU row `row` was transformed. */
static void write_rows(const region_context *region, int row, int y, int end, uint8_t *out) {
    int left = region->out_left, right = region->out_right, width = right - left;
    for (; y < end; y++) {
        const uint8_t *samples[3];
        for (int c = 0; c < region->count; c++) {
            const component *part = &region->parts[c];
            samples[c] = upsample_row(part, y, row * part->v * part->size, left, right);
        }
        uint8_t *to = out + (size_t)(y - region->out_top) * (size_t)width * 3;
        if (region->count == 1) rows_interleave(samples[0], samples[0], samples[0], width, to);
        else if (region->tiles.header.ycc) rows_to_rgb(samples[0], samples[1], samples[2], width, to);
        else rows_interleave(samples[0], samples[1], samples[2], width, to);
    }
}

static int decode_box(region_context *region, uint8_t *out) {
    int height = region->max_v * region->scale, wait = 0, y = region->out_top;
    for (int c = 0; c < region->count; c++) wait |= region->parts[c].fancy_y;
    for (int row = region->mcu_top; row < region->mcu_bottom; row++) {
        int reason = read_row(region, row);
        if (reason) return reason;
        transform_row(region);
        int end = row + 1 < region->mcu_bottom ? (row + 1) * height - wait : region->out_bottom;
        if (end > region->out_bottom) end = region->out_bottom;
        if (end <= y) continue;
        write_rows(region, row, y, end, out);
        y = end;
    }
    return JPEG_OK;
}

/* Decodes the box [left, right) x [top, bottom), in px of the full picture, at `scale` eighths (1, 2, 4 or 8) into `out`:
 * uint8, height x width x RGB without gaps. place: left, top, width and height of the output in the scaled picture. Gives a
 * jpeg_reason, or -1 for an empty box or an unknown scale. */
int region_decode(region_context *region, const uint8_t *jpeg, size_t size, int left, int top, int right, int bottom,
                  int scale, uint8_t *out, size_t out_capacity, int place[4]) {
    if (scale != 1 && scale != 2 && scale != 4 && scale != 8) return -1;
    tile_reader *tiles = &region->tiles;
    int reason = jpeg_parse(jpeg, size, &tiles->header);
    if (reason) return reason;
    tiles->data = jpeg;
    tiles->size = size;
    region->scale = scale;
    if ((reason = plan_components(region))) return reason;
    if ((reason = plan_box(region, left, top, right, bottom))) return reason;
    int width = region->out_right - region->out_left, height = region->out_bottom - region->out_top;
    place[0] = region->out_left;
    place[1] = region->out_top;
    place[2] = width;
    place[3] = height;
    if ((size_t)width * (size_t)height * 3 > out_capacity) return JPEG_TOO_LARGE;
    if ((reason = prepare_tables(region))) return reason;
    plan_reading(region);
    if ((reason = find_room(region))) return reason;
    return decode_box(region, out);
}
