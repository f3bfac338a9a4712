/* A region of a tiled JPEG as a JPEG of its own: tiles are copied, their markers renumbered, the size told anew. */
#include "cut.h"

#include <stdlib.h>

#ifdef __AVX2__
#include <immintrin.h>
#endif

int jpeg_tiles_of(const jpeg_header *header, jpeg_tiles *tiles) {
    int interval = header->interval, row = header->mcus_x;
    if (!interval || interval >= row * header->mcus_y) return 0;
    if (row % interval == 0) {
        *tiles = (jpeg_tiles){row / interval, interval, 1};
        return 1;
    }
    if (interval % row) return 0;
    *tiles = (jpeg_tiles){1, row, interval / row};
    return 1;
}

static int min(int a, int b) { return a < b ? a : b; }
static int max(int a, int b) { return a > b ? a : b; }

jpeg_box jpeg_cover(const jpeg_header *header, const jpeg_tiles *tiles, jpeg_box box) {
    int tile_width = tiles->width * header->mcu_width, tile_height = tiles->height * header->mcu_height;
    int wide = header->mcu_width > 8, high = header->mcu_height > 8; /* chroma is interpolated from its neighbours */
    int first = max(0, box.left - wide) / tile_width, top = max(0, box.top - high) / tile_height;
    int right = min(header->width, jpeg_ceil_div(min(header->width, box.right + wide), tile_width) * tile_width);
    int bottom = min(header->height, jpeg_ceil_div(min(header->height, box.bottom + high), tile_height) * tile_height);
    /* libjpeg interpolates no chroma that is less than 3 samples wide */
    if (wide && first && right - first * tile_width <= 2 * header->mcu_width / 8) first--;
    return (jpeg_box){first * tile_width, top * tile_height, right, bottom};
}

/* Places of the first `count` RSTn in the data. Returns how many there are. */
static int find_markers(const uint8_t *data, size_t size, int count, uint32_t *places) {
    int made = 0;
    size_t at = 0;
#ifdef __AVX2__
    const __m256i ones = _mm256_set1_epi8(-1), high = _mm256_set1_epi8((char)0xF8), rst = _mm256_set1_epi8((char)0xD0);
    for (; at + 33 <= size && made < count; at += 32) {
        __m256i here = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(data + at)), ones);
        __m256i next = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(data + at + 1)), high);
        unsigned found = (unsigned)_mm256_movemask_epi8(_mm256_and_si256(here, _mm256_cmpeq_epi8(next, rst)));
        for (; found && made < count; found &= found - 1) places[made++] = (uint32_t)at + (unsigned)__builtin_ctz(found);
    }
#endif
    while (made < count && at + 2 <= size) {
        const uint8_t *found = memchr(data + at, 0xFF, size - at - 1);
        if (!found) break;
        at = (size_t)(found - data);
        if ((found[1] & 0xF8) == 0xD0) places[made++] = (uint32_t)at;
        at++;
    }
    return made;
}

typedef struct {
    const uint8_t *data; /* from the entropy-coded data on */
    size_t size;
    int first, columns, top, rows; /* the wanted ones, in tiles */
    int row, total;                /* tiles of a row, of the picture */
} cutting;

/* Where every tile up to the last wanted one starts; at the end, one more: 2 behind where it ends. Markers must be as
 * they are counted. */
static int find_tiles(const cutting *job, uint32_t *starts) {
    int last = (job->top + job->rows - 1) * job->row + job->first + job->columns - 1;
    int markers = last + 1 < job->total ? last + 1 : job->total - 1;
    starts[0] = 0;
    if (find_markers(job->data, job->size, markers, starts + 1) < markers) return 0;
    for (int i = 1; i <= markers; i++) {
        if (job->data[starts[i] + 1] != 0xD0 + ((i - 1) & 7)) return 0;
        starts[i] += 2;
    }
    if (last + 1 < job->total) return 1;
    size_t end = jpeg_scan_end(job->data, job->size, starts[last]);
    starts[last + 1] = (uint32_t)end + 2;
    return end + 1 < job->size && job->data[end + 1] == 0xD9;
}

/* Copies the wanted tiles row by row and numbers the markers between them anew. Returns the end, or NULL where they do
 * not fit. */
static uint8_t *copy_tiles(const cutting *job, const uint32_t *starts, uint8_t *out, const uint8_t *limit) {
    int marker = 0;
    for (int row = job->top; row < job->top + job->rows; row++) {
        int first = row * job->row + job->first, end = first + job->columns;
        uint32_t start = starts[first], length = starts[end] - start; /* with the marker behind the last one */
        if (starts[end] < start + 2 || limit - out < (ptrdiff_t)length) return NULL;
        memcpy(out, job->data + start, length);
        for (int tile = first + 1; tile <= end; tile++, marker = (marker + 1) & 7)
            out[starts[tile] - start - 1] = (uint8_t)(0xD0 + marker);
        out += length;
    }
    out[-1] = 0xD9; /* in place of the last marker */
    return out;
}

/* What a decoder needs to know of the head: tables, frame, scan, and which colours they are. */
static uint8_t *copy_head(const uint8_t *data, const jpeg_header *header, const jpeg_box *region, uint8_t *out) {
    *out++ = 0xFF;
    *out++ = 0xD8;
    for (int32_t at = 2; at < header->entropy;) {
        int marker = data[at + 1];
        if (marker == 0xFF) {
            at++;
            continue;
        }
        int length = 2 + (data[at + 2] << 8 | data[at + 3]);
        int is_colour = (marker == 0xE0 && length >= 18 && !memcmp(data + at + 4, "JFIF", 5)) ||
                        (marker == 0xEE && length >= 14 && !memcmp(data + at + 4, "Adobe", 5));
        if ((marker < 0xE0 && marker != 0xDC) || is_colour) {
            memcpy(out, data + at, (size_t)length);
            if (at == header->frame) {
                int height = region->bottom - region->top, width = region->right - region->left;
                out[5] = (uint8_t)(height >> 8);
                out[6] = (uint8_t)height;
                out[7] = (uint8_t)(width >> 8);
                out[8] = (uint8_t)width;
            }
            out += length;
        }
        at += length;
    }
    return out;
}

int jpeg_cut(const uint8_t *data, size_t size, const jpeg_box *box, uint8_t *out, size_t capacity, size_t *written,
             jpeg_box *region) {
    jpeg_header header;
    jpeg_tiles tiles;
    *written = 0;
    int reason = jpeg_parse(data, size, &header);
    if (reason) return reason;
    if (!jpeg_tiles_of(&header, &tiles)) return JPEG_NO_GAIN;
    if (box->left < 0 || box->top < 0 || box->right > header.width || box->bottom > header.height ||
        box->left >= box->right || box->top >= box->bottom)
        return JPEG_TOO_LARGE;
    *region = jpeg_cover(&header, &tiles, *box);
    if (region->right - region->left == header.width && region->bottom - region->top == header.height)
        return JPEG_NO_GAIN;
    if (capacity < (size_t)header.entropy + 4) return JPEG_TOO_LARGE;
    int tile_width = tiles.width * header.mcu_width, tile_height = tiles.height * header.mcu_height;
    cutting job = {
        .data = data + header.entropy,
        .size = size - (size_t)header.entropy,
        .first = region->left / tile_width,
        .columns = jpeg_ceil_div(region->right - region->left, tile_width),
        .top = region->top / tile_height,
        .rows = jpeg_ceil_div(region->bottom - region->top, tile_height),
        .row = tiles.columns,
        .total = tiles.columns * jpeg_ceil_div(header.mcus_y, tiles.height),
    };
    uint32_t *starts = malloc(((size_t)job.total + 1) * sizeof *starts);
    if (!starts) return JPEG_NO_MEMORY;
    uint8_t *end = NULL;
    if (find_tiles(&job, starts))
        end = copy_tiles(&job, starts, copy_head(data, &header, region, out), out + capacity);
    free(starts);
    *written = end ? (size_t)(end - out) : 0;
    return end ? JPEG_OK : JPEG_DAMAGED;
}
