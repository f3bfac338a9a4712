#include "jpeg.h"

const uint8_t jpeg_natural_order[80] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,
    6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31,
    39, 46, 53, 60, 61, 54, 47, 55, 62, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63};

static int u16(const uint8_t *at) { return at[0] << 8 | at[1]; }

int jpeg_read_quants(const uint8_t *at, const uint8_t *end, jpeg_header *header) {
    while (at < end) {
        int wide = at[0] >> 4, which = at[0] & 15;
        if (wide || which > 3 || end - at < 65) return JPEG_TABLES;
        header->quants[which] = at + 1;
        at += 65;
    }
    return JPEG_OK;
}

int jpeg_read_huffs(const uint8_t *at, const uint8_t *end, jpeg_header *header) {
    while (at < end) {
        int kind = at[0] >> 4, which = at[0] & 15, symbols = 0;
        if (kind > 1 || which > 3 || end - at < 17) return JPEG_TABLES;
        for (int i = 1; i <= 16; i++) symbols += at[i];
        if (symbols > 256 || end - at < 17 + symbols) return JPEG_TABLES;
        header->huffs[kind][which] = at + 1;
        at += 17 + symbols;
    }
    return JPEG_OK;
}

static int read_frame(int marker, const uint8_t *at, const uint8_t *end, jpeg_header *header) {
    if (end - at < 6) return JPEG_DAMAGED;
    header->height = u16(at + 1);
    header->width = u16(at + 3);
    header->components = at[5];
    if (marker == 0xC2) return JPEG_PROGRESSIVE;
    if (marker >= 0xC9) return JPEG_ARITHMETIC;
    if (marker > 0xC2) return JPEG_LOSSLESS;
    if (at[0] != 8) return JPEG_PRECISION;
    if (!header->width || !header->height) return JPEG_DAMAGED; /* a height told later (DNL) is nobody's */
    if (header->width > 65500 || header->height > 65500) return JPEG_TOO_LARGE;
    int count = header->components;
    if (count != 1 && count != 3) return JPEG_COMPONENTS;
    if (end - at != 6 + 3 * count) return JPEG_DAMAGED;
    for (int i = 0; i < count; i++) {
        const uint8_t *told = at + 6 + 3 * i;
        header->id[i] = told[0];
        header->h[i] = told[1] >> 4;
        header->v[i] = told[1] & 15;
        header->quant[i] = told[2];
        if (told[2] > 3) return JPEG_TABLES;
        if (header->h[i] < 1 || header->h[i] > 4 || header->v[i] < 1 || header->v[i] > 4) return JPEG_SAMPLING;
        if (i && (header->h[i] != 1 || header->v[i] != 1)) return JPEG_SAMPLING;
    }
    /* h x v blocks of luma, or a single one where it is alone (T.81, A.2.2) */
    header->mcu_width = 8 * (count == 1 ? 1 : header->h[0]);
    header->mcu_height = 8 * (count == 1 ? 1 : header->v[0]);
    if (count == 3 && header->h[0] * header->v[0] > 8) return JPEG_SAMPLING; /* 10 blocks at most (B.2.3) */
    header->mcus_x = jpeg_ceil_div(header->width, header->mcu_width);
    header->mcus_y = jpeg_ceil_div(header->height, header->mcu_height);
    return JPEG_OK;
}

int jpeg_is_dc_table(const uint8_t *table) {
    int symbols = 0;
    for (int i = 0; i < 16; i++) symbols += table[i];
    for (int i = 0; i < symbols; i++)
        if (table[16 + i] > 15) return 0;
    return 1;
}

static int read_scan(const uint8_t *at, const uint8_t *end, jpeg_header *header) {
    int count = header->components;
    if (end - at < 1 || at[0] != count) return JPEG_SCANS;
    if (end - at != 4 + 2 * count) return JPEG_DAMAGED;
    for (int i = 0; i < count; i++) {
        if (at[1 + 2 * i] != header->id[i]) return JPEG_SCANS;
        header->dc[i] = at[2 + 2 * i] >> 4;
        header->ac[i] = at[2 + 2 * i] & 15;
        if (header->dc[i] > 3 || header->ac[i] > 3) return JPEG_TABLES;
        if (!header->quants[header->quant[i]]) return JPEG_TABLES;
        if (!header->huffs[0][header->dc[i]] || !header->huffs[1][header->ac[i]]) return JPEG_TABLES;
        if (!jpeg_is_dc_table(header->huffs[0][header->dc[i]])) return JPEG_TABLES;
    }
    const uint8_t *tail = at + 1 + 2 * count;
    return tail[0] == 0 && tail[1] == 63 && tail[2] == 0 ? JPEG_OK : JPEG_DAMAGED;
}

/* As libjpeg's default_decompress_parms decides it. */
static int is_ycc(const jpeg_header *header, int jfif, int adobe) {
    if (header->components == 1 || jfif) return 1;
    if (adobe >= 0) return adobe != 0;
    return !(header->id[0] == 'R' && header->id[1] == 'G' && header->id[2] == 'B');
}

int jpeg_parse(const uint8_t *data, size_t size, jpeg_header *header) {
    memset(header, 0, sizeof *header);
    if (size < 4 || size > INT32_MAX || data[0] != 0xFF || data[1] != 0xD8) return JPEG_NOT_JPEG;
    int jfif = 0, adobe = -1, framed = 0;
    size_t at = 2;
    while (at + 4 <= size) {
        if (data[at] != 0xFF) return JPEG_DAMAGED;
        int marker = data[at + 1];
        if (marker == 0xFF) { /* fill byte (B.1.1.2) */
            at++;
            continue;
        }
        if (marker < 0xC0 || (marker >= 0xD0 && marker <= 0xD9)) return framed ? JPEG_DAMAGED : JPEG_NOT_JPEG;
        if (jpeg_is_unknown(marker)) return JPEG_DAMAGED;
        size_t length = (size_t)u16(data + at + 2);
        if (length < 2 || length > size - at - 2) return JPEG_DAMAGED;
        const uint8_t *body = data + at + 4, *end = data + at + 2 + length;
        int reason = JPEG_OK;
        if (marker == 0xDB) reason = jpeg_read_quants(body, end, header);
        else if (marker == 0xC4) reason = jpeg_read_huffs(body, end, header);
        else if (marker == 0xDD) {
            if (end - body != 2) return JPEG_DAMAGED;
            header->interval = u16(body);
        } else if (marker == 0xE0 && end - body >= 14 && !memcmp(body, "JFIF", 5)) jfif = 1;
        else if (marker == 0xEE && end - body >= 12 && !memcmp(body, "Adobe", 5)) adobe = body[11];
        else if (marker == 0xCC) reason = JPEG_ARITHMETIC;
        else if (marker >= 0xC0 && marker <= 0xCF) {
            if (framed) return JPEG_DAMAGED;
            header->frame = (int32_t)at;
            reason = read_frame(marker, body, end, header);
            framed = 1;
        } else if (marker == 0xDA) {
            if (!framed) return JPEG_DAMAGED;
            header->scan = (int32_t)at;
            header->entropy = (int32_t)(at + 2 + length);
            header->ycc = is_ycc(header, jfif, adobe);
            return read_scan(body, end, header);
        }
        if (reason) return reason;
        at += 2 + length;
    }
    return framed ? JPEG_DAMAGED : JPEG_NOT_JPEG;
}

uint32_t jpeg_size(const uint8_t *data, size_t size) {
    jpeg_header header;
    jpeg_parse(data, size, &header);
    return (uint32_t)header.width << 16 | (uint32_t)header.height;
}

int jpeg_look(const uint8_t *data, size_t size) {
    jpeg_header header;
    return jpeg_parse(data, size, &header);
}

int jpeg_is_ycc(const uint8_t *data, size_t size) {
    jpeg_header header;
    return !jpeg_parse(data, size, &header) && header.ycc;
}

enum { STRIDE = 64 };

/* Whether no marker begins in the next STRIDE bytes, one more being read; without a branch, for vectors. Most bytes FF
 * of coded data have their zero behind them, and memchr stops at each. */
static int is_coded(const uint8_t *data) {
    uint8_t marks = 0;
    for (int i = 0; i < STRIDE; i++) marks |= (uint8_t)((data[i] == 0xFF) & (data[i + 1] != 0));
    return !marks;
}

size_t jpeg_scan_end(const uint8_t *data, size_t size, size_t from) {
    while (from + 1 < size) {
        while (from + STRIDE < size && is_coded(data + from)) from += STRIDE;
        const uint8_t *found = memchr(data + from, 0xFF, size - 1 - from);
        if (!found) return size;
        int next = found[1];
        from = (size_t)(found - data);
        if (next != 0 && next != 0xFF && (next < 0xD0 || next > 0xD7)) return from;
        from += next == 0xFF ? 1 : 2;
    }
    return size;
}

size_t jpeg_without_filling(const uint8_t *data, size_t from, size_t end) {
    for (;;) {
        if (end > from && data[end - 1] == 0xFF) end--; /* a byte FF of the data has its zero behind it */
        else if (end > from + 1 && data[end - 2] == 0xFF && (data[end - 1] & 0xF8) == 0xD0) end -= 2;
        else return end;
    }
}

int jpeg_huffman_build(const uint8_t *table, jpeg_huffman *out) {
    memset(out, 0, sizeof *out);
    const uint8_t *symbols = table + 16;
    int32_t code = 0, place = 0;
    for (int length = 1; length <= 16; length++) {
        int count = table[length - 1];
        out->first[length] = code;
        out->index[length] = place;
        if (code + count > 1 << length) return 0;
        for (int i = 0; i < count; i++, code++, place++) {
            out->symbols[place] = symbols[place];
            if (length > JPEG_LOOK) continue;
            uint16_t entry = (uint16_t)(length << 8 | symbols[place]);
            int spare = JPEG_LOOK - length;
            for (int j = 0; j < 1 << spare; j++) out->look[(code << spare) + j] = entry;
        }
        out->last[length] = code;
        code <<= 1;
    }
    return place > 0;
}
