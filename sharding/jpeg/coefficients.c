#include "coefficients.h"

static int u16(const uint8_t *at) { return at[0] << 8 | at[1]; }

static int read_components(const uint8_t *at, jpeg_header *header) {
    int widest = 1, highest = 1, blocks = 0;
    for (int i = 0; i < header->components; i++, at += 3) {
        int h = at[1] >> 4, v = at[1] & 15;
        if (h < 1 || h > 4 || v < 1 || v > 4) return JPEG_SAMPLING;
        if (at[2] > 3) return JPEG_TABLES;
        for (int j = 0; j < i; j++)
            if (header->id[j] == at[0]) return JPEG_SCANS; /* a scan could not tell them apart */
        header->id[i] = at[0];
        header->quant[i] = at[2];
        header->h[i] = h;
        header->v[i] = v;
        blocks += h * v;
        if (h > widest) widest = h;
        if (v > highest) highest = v;
    }
    if (header->components == 1) widest = highest = 1; /* a single block, whatever is told (T.81, A.2.2) */
    else if (blocks > 10) return JPEG_SAMPLING;        /* B.2.3: too many for the one scan that is to come */
    header->mcu_width = 8 * widest;
    header->mcu_height = 8 * highest;
    header->mcus_x = jpeg_ceil_div(header->width, header->mcu_width);
    header->mcus_y = jpeg_ceil_div(header->height, header->mcu_height);
    return JPEG_OK;
}

int coefficients_frame(int marker, const uint8_t *at, const uint8_t *end, size_t most_pixels, jpeg_coefficients *all) {
    jpeg_header *header = &all->header;
    if (end - at < 6) return JPEG_DAMAGED;
    if (at[0] != 8) return JPEG_PRECISION;
    header->height = u16(at + 1);
    header->width = u16(at + 3);
    header->components = at[5];
    all->progressive = marker == 0xC2;
    if (!header->width || !header->height) return JPEG_DAMAGED; /* a height told later (DNL) is nobody's */
    if (header->width > 65500 || header->height > 65500) return JPEG_TOO_LARGE;
    if ((size_t)header->width * (size_t)header->height > most_pixels) return JPEG_TOO_LARGE;
    if (header->components < 1 || header->components > 4) return JPEG_COMPONENTS;
    if (end - at != 6 + 3 * header->components) return JPEG_DAMAGED;
    int reason = read_components(at + 6, header);
    if (reason) return reason;
    size_t stored = 0;
    for (int i = 0; i < header->components; i++) {
        jpeg_component *it = &all->components[i];
        it->h = header->components == 1 ? 1 : header->h[i];
        it->v = header->components == 1 ? 1 : header->v[i];
        it->columns = jpeg_ceil_div(header->width * it->h, header->mcu_width);
        it->rows = jpeg_ceil_div(header->height * it->v, header->mcu_height);
        it->stride = header->mcus_x * it->h;
        memset(it->missing, NOT_SENT, sizeof it->missing);
        stored += (size_t)it->stride * (size_t)(header->mcus_y * it->v);
    }
    int16_t *next = all->memory = calloc(stored, 64 * sizeof *next);
    if (!next) return JPEG_NO_MEMORY;
    for (int i = 0; i < header->components; i++) {
        jpeg_component *it = &all->components[i];
        it->blocks = next;
        next += 64 * (size_t)it->stride * (size_t)(header->mcus_y * it->v);
    }
    return JPEG_OK;
}

/* AC coefficients as runs of zeros and values (T.81, F.1.2.2); how often each symbol comes is added to counts. */
static int add_ac(const int16_t *block, uint32_t *counts, symbol_list *list) {
    uint32_t *out = list->symbols + list->count;
    int run = 0;
    for (int k = 1; k < 64; k++) {
        int value = block[k];
        if (!value) {
            run++;
            continue;
        }
        if (value > AC_LARGEST || value < -AC_LARGEST) return JPEG_DAMAGED;
        for (; run > 15; run -= 16) {
            *out++ = 0xF0u << 16;
            counts[0xF0]++;
        }
        int size = category(value), symbol = run << 4 | size;
        *out++ = (uint32_t)symbol << 16 | (uint32_t)(value < 0 ? value + (1 << size) - 1 : value);
        counts[symbol]++;
        run = 0;
    }
    if (run) {
        *out++ = 0;
        counts[0]++;
    }
    list->count = (size_t)(out - list->symbols);
    return JPEG_OK;
}

/* The block at (column, row), or one that fills up an MCU beyond the picture: its last value again, which costs least.
 * Nobody sees those, and scans of one component do not have them. */
static int add_block(const jpeg_component *it, int column, int row, int *last, uint32_t *counts, symbol_list *list) {
    static const int16_t nothing[64];
    if (!has_room(list)) return JPEG_NO_MEMORY;
    const int16_t *block = nothing;
    if (column < it->columns && row < it->rows) {
        block = it->blocks + 64 * ((size_t)row * (size_t)it->stride + (size_t)column);
        *last = block[0];
        if (*last > DC_LARGEST || *last < -DC_LARGEST) return JPEG_DAMAGED;
    }
    list->symbols[list->count++] = (uint32_t)(*last + DC_BIAS);
    return add_ac(block, counts, list);
}

int coefficients_symbols(const jpeg_coefficients *all, symbol_list *list) {
    const jpeg_header *header = &all->header;
    int last[4] = {0};
    for (int y = 0; y < header->mcus_y; y++)
        for (int x = 0; x < header->mcus_x; x++)
            for (int i = 0; i < header->components; i++) {
                const jpeg_component *it = &all->components[i];
                for (int n = 0; n < it->h * it->v; n++) {
                    int column = x * it->h + n % it->h, row = y * it->v + n / it->h;
                    int reason = add_block(it, column, row, &last[i], list->ac[table_of(i)], list);
                    if (reason) return reason;
                }
            }
    return JPEG_OK;
}
