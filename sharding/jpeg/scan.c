#include "scan.h"

/* Whether a progressive scan comes when it may (T.81, G.1.1.1.1 and table B.3). Each bit of a coefficient then comes
 * once and in its turn, so what is in memory is what any decoder makes of the scans. */
static int is_due(const jpeg_coefficients *all, const jpeg_scan *scan) {
    if (scan->first > scan->end || scan->end > 63 || (scan->first == 0) != (scan->end == 0)) return 0;
    if (scan->first && scan->count != 1) return 0;
    if (scan->low > 13 || (scan->high && scan->low != scan->high - 1)) return 0;
    for (int i = 0; i < scan->count; i++) {
        const int8_t *missing = all->components[scan->of[i]].missing;
        if (scan->first && missing[0] == NOT_SENT) return 0;
        for (int k = scan->first; k <= scan->end; k++)
            if (missing[k] != (scan->high ? scan->high : NOT_SENT)) return 0;
    }
    return 1;
}

static int is_due_whole(const jpeg_coefficients *all, const jpeg_scan *scan) {
    if (scan->first || scan->end != 63 || scan->high || scan->low) return 0;
    for (int i = 0; i < scan->count; i++)
        if (all->components[scan->of[i]].missing[0] != NOT_SENT) return 0;
    return 1;
}

static int build_tables(const jpeg_coefficients *all, const uint8_t *selectors, jpeg_scan *scan) {
    const jpeg_header *header = &all->header;
    int needs_dc = !all->progressive || (scan->first == 0 && !scan->high);
    int needs_ac = !all->progressive || scan->first;
    for (int i = 0; i < scan->count; i++) {
        int dc = selectors[2 * i] >> 4, ac = selectors[2 * i] & 15;
        if (dc > 3 || ac > 3) return JPEG_TABLES;
        const uint8_t *told[2] = {header->huffs[0][dc], header->huffs[1][ac]};
        if (needs_dc && (!told[0] || !jpeg_is_dc_table(told[0]) || !jpeg_huffman_build(told[0], &scan->dc[i])))
            return JPEG_TABLES;
        if (needs_ac && (!told[1] || !jpeg_huffman_build(told[1], &scan->ac[i]))) return JPEG_TABLES;
    }
    return JPEG_OK;
}

static block_reader *reader_of(const jpeg_coefficients *all, const jpeg_scan *scan) {
    if (!all->progressive) return scan_sequential;
    if (scan->first == 0) return scan->high ? scan_dc_refined : scan_dc_first;
    return scan->high ? scan_ac_refined : scan_ac_first;
}

int scan_header(const uint8_t *at, const uint8_t *end, jpeg_coefficients *all, jpeg_scan *scan) {
    jpeg_header *header = &all->header;
    if (end - at < 1 || at[0] < 1 || at[0] > header->components || end - at != 4 + 2 * at[0]) return JPEG_DAMAGED;
    scan->count = at[0];
    for (int i = 0, from = 0; i < scan->count; i++, from++) {
        while (from < header->components && header->id[from] != at[1 + 2 * i]) from++;
        if (from == header->components) return JPEG_SCANS; /* unknown, or not in the frame's order (B.2.3) */
        scan->of[i] = from;
    }
    const uint8_t *tail = at + 1 + 2 * scan->count;
    scan->first = tail[0];
    scan->end = tail[1];
    scan->high = tail[2] >> 4;
    scan->low = tail[2] & 15;
    if (!(all->progressive ? is_due(all, scan) : is_due_whole(all, scan))) return JPEG_SCANS;
    for (int i = 0; i < scan->count; i++) {
        jpeg_component *it = &all->components[scan->of[i]];
        if (!it->quants) it->quants = header->quants[header->quant[scan->of[i]]];
        if (!it->quants) return JPEG_TABLES;
        memset(it->missing + scan->first, scan->low, (size_t)(scan->end - scan->first + 1));
    }
    scan->read = reader_of(all, scan);
    return build_tables(all, at + 2, scan);
}

typedef struct {
    int x, y, columns, rows; /* the next MCU; MCUs of the scan */
} place;

static inline int read_mcu(const jpeg_coefficients *all, jpeg_scan *scan, const place *at, bit_reader *in) {
    for (int i = 0; i < scan->count; i++) {
        const jpeg_component *it = &all->components[scan->of[i]];
        int h = scan->count == 1 ? 1 : it->h, v = scan->count == 1 ? 1 : it->v; /* A.2.2: alone, block after block */
        for (int row = at->y * v; row < (at->y + 1) * v; row++)
            for (int column = at->x * h; column < (at->x + 1) * h; column++) {
                int16_t *block = it->blocks + 64 * ((size_t)row * (size_t)it->stride + (size_t)column);
                int reason = scan->read(scan, i, in, block);
                if (reason) return reason;
                if (in->at > in->end) return JPEG_DAMAGED;
            }
    }
    return JPEG_OK;
}

/* `mcus` MCUs that stand together between two markers. */
static int read_interval(const jpeg_coefficients *all, jpeg_scan *scan, place *at, int mcus, bit_reader *in) {
    memset(scan->last, 0, sizeof scan->last);
    while (mcus--) {
        int reason = read_mcu(all, scan, at, in);
        if (reason) return reason;
        if (++at->x == at->columns) {
            at->x = 0;
            at->y++;
        }
    }
    /* nothing but the last byte's filling may be left, and no run of bands may go on behind it */
    return in->end - in->at < 8 && !scan->skipped ? JPEG_OK : JPEG_DAMAGED;
}

/* The next FF that no zero follows. */
static size_t find_marker(const uint8_t *data, size_t size, size_t from) {
    while (from + 1 < size) {
        const uint8_t *found = memchr(data + from, 0xFF, size - 1 - from);
        if (!found) return size;
        from = (size_t)(found - data);
        if (found[1]) return from;
        from += 2;
    }
    return size;
}

int scan_data(const uint8_t *data, size_t size, const jpeg_coefficients *all, jpeg_scan *scan, uint8_t *plain) {
    const jpeg_header *header = &all->header;
    const jpeg_component *alone = &all->components[scan->of[0]];
    place at = {0, 0, header->mcus_x, header->mcus_y};
    if (scan->count == 1) at = (place){0, 0, alone->columns, alone->rows};
    size_t from = 0;
    for (int left = at.columns * at.rows, marker = 0; left; marker = (marker + 1) & 7) {
        int mcus = header->interval && header->interval < left ? header->interval : left;
        if (from > size) return JPEG_DAMAGED;
        size_t stop = jpeg_without_filling(data, from, size), told = size;
        if (mcus < left) {
            stop = find_marker(data, size, from);
            told = jpeg_behind_filling(data, size, stop);
            if (told >= size || data[told] != 0xD0 + marker) return JPEG_DAMAGED;
        }
        size_t length = bits_unstuff(data + from, stop - from, plain);
        if (length == SIZE_MAX) return JPEG_DAMAGED;
        memset(plain + length, 0, BITS_PADDING);
        bit_reader in = {plain, 0, 8 * (uint64_t)length};
        int reason = read_interval(all, scan, &at, mcus, &in);
        if (reason) return reason;
        from = told + 1;
        left -= mcus;
    }
    return JPEG_OK;
}
