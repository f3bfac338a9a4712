/* A baseline picture from its symbols: restart markers, optimal Huffman tables, the segments that matter. */
#include "write.h"

#include "bits.h"
#include "metadata.h"
#include "optimal.h"

static const uint32_t *next_block(const uint32_t *at) {
    for (int k = 1; k < 64;) {
        uint32_t symbol = *at++ >> 16;
        if (!symbol) break;
        k += (int)(symbol >> 4) + 1;
    }
    return at;
}

/* How often each category of DC difference will be written. */
static int count_dc(const jpeg_layout *job, symbol_list *list) {
    const jpeg_header *header = job->header;
    const uint32_t *at = list->symbols;
    int total = header->mcus_x * header->mcus_y, last[4] = {0};
    for (int mcu = 0; mcu < total; mcu++) {
        if (job->interval && mcu % job->interval == 0) memset(last, 0, sizeof last);
        for (int i = 0; i < header->components; i++)
            for (int n = 0; n < job->blocks[i]; n++) {
                int value = (int)*at - DC_BIAS, size = category(value - last[i]);
                if (size > 11) return JPEG_DAMAGED;
                list->dc[table_of(i)][size]++;
                last[i] = value;
                at = next_block(at + 1);
            }
    }
    return JPEG_OK;
}

static const uint32_t *write_block(bit_writer *out, const uint32_t *at, int *last, const huffman_code *dc,
                                   const huffman_code *ac) {
    int value = (int)*at++ - DC_BIAS, difference = value - *last, size = category(difference);
    uint32_t extra = (uint32_t)(difference < 0 ? difference + (1 << size) - 1 : difference);
    *last = value;
    bits_write(out, (uint32_t)dc->code[size] << size | extra, dc->length[size] + size);
    for (int k = 1; k < 64;) {
        uint32_t entry = *at++, symbol = entry >> 16;
        size = (int)(symbol & 15);
        bits_write(out, (uint32_t)ac->code[symbol] << size | (entry & 0xFFFF), ac->length[symbol] + size);
        if (!symbol) break;
        k += (int)(symbol >> 4) + 1;
    }
    return at;
}

static int write_scan(const jpeg_layout *job, const symbol_list *list, const huffman_code *dc, const huffman_code *ac,
                      bit_writer *out) {
    const jpeg_header *header = job->header;
    const uint32_t *at = list->symbols;
    int total = header->mcus_x * header->mcus_y, last[4] = {0}, marker = 0;
    for (int mcu = 0; mcu < total; mcu++) {
        if (mcu && job->interval && mcu % job->interval == 0) {
            bits_flush(out);
            *out->at++ = 0xFF;
            *out->at++ = (uint8_t)(0xD0 + marker);
            marker = (marker + 1) & 7;
            memset(last, 0, sizeof last);
        }
        for (int i = 0; i < header->components; i++)
            for (int n = 0; n < job->blocks[i]; n++) {
                if (out->end - out->at < 600) return JPEG_TOO_LARGE; /* a block takes 64 x 26 bits, all stuffed */
                at = write_block(out, at, &last[i], &dc[table_of(i)], &ac[table_of(i)]);
            }
    }
    bits_flush(out);
    return JPEG_OK;
}

static void put_u16(bit_writer *out, int value) {
    *out->at++ = (uint8_t)(value >> 8);
    *out->at++ = (uint8_t)value;
}

static void put_table(bit_writer *out, int which, const huffman_code *code) {
    *out->at++ = (uint8_t)which;
    memcpy(out->at, code->counts, 16);
    memcpy(out->at + 16, code->symbols, (size_t)code->used);
    out->at += 16 + code->used;
}

/* One DQT for each selector of the components. */
static void put_quants(const jpeg_header *header, bit_writer *out) {
    int told = 0;
    for (int i = 0; i < header->components; i++) {
        int which = header->quant[i];
        if (told >> which & 1) continue;
        told |= 1 << which;
        put_u16(out, 0xFFDB);
        put_u16(out, 67);
        *out->at++ = (uint8_t)which;
        memcpy(out->at, header->quants[which], 64);
        out->at += 64;
    }
}

/* Every segment before the scan that matters. */
static void put_segments(const jpeg_layout *job, const uint8_t *data, bit_writer *out) {
    const jpeg_header *header = job->header;
    jpeg_turning turning = metadata_turning(data, header->scan);
    for (int32_t at = 2; at < header->scan;) {
        int length = 2 + (data[at + 2] << 8 | data[at + 3]), marker = data[at + 1];
        if (marker == 0xFF) {
            at++;
            continue;
        }
        int is_told_anew = marker == 0xC4 || marker == 0xDD || (job->anew && marker == 0xDB);
        if (!is_told_anew && metadata_matters(&turning, marker, data + at + 4, length - 4)) {
            if (job->anew && at == header->frame) put_quants(header, out);
            memcpy(out->at, data + at, (size_t)length);
            if (job->anew && at == header->frame) out->at[1] = 0xC0;
            out->at += length;
        }
        at += length;
    }
}

static int write_head(const jpeg_layout *job, const uint8_t *data, const huffman_code *dc, const huffman_code *ac,
                      bit_writer *out) {
    const jpeg_header *header = job->header;
    if (out->end - out->at < header->scan + 4 * 300 + 4 * 69 + 32) return JPEG_TOO_LARGE;
    put_u16(out, 0xFFD8);
    put_segments(job, data, out);
    int kinds = header->components > 1 ? 2 : 1, length = 2;
    for (int i = 0; i < kinds; i++) length += 34 + dc[i].used + ac[i].used;
    put_u16(out, 0xFFC4);
    put_u16(out, length);
    for (int i = 0; i < kinds; i++) {
        put_table(out, i, &dc[i]);
        put_table(out, 0x10 | i, &ac[i]);
    }
    if (job->interval) {
        put_u16(out, 0xFFDD);
        put_u16(out, 4);
        put_u16(out, job->interval);
    }
    put_u16(out, 0xFFDA);
    put_u16(out, 6 + 2 * header->components);
    *out->at++ = (uint8_t)header->components;
    for (int i = 0; i < header->components; i++) put_u16(out, header->id[i] << 8 | (table_of(i) ? 0x11 : 0x00));
    put_u16(out, 63); /* coefficients 0 to 63 */
    *out->at++ = 0;
    return JPEG_OK;
}

int jpeg_write(const jpeg_layout *job, const uint8_t *data, symbol_list *list, uint8_t *out, size_t capacity,
               size_t *written) {
    huffman_code dc[2], ac[2];
    bit_writer writer = {out, out + capacity, 0, 0};
    int reason = count_dc(job, list);
    if (reason) return reason;
    for (int i = 0; i < (job->header->components > 1 ? 2 : 1); i++) {
        huffman_optimise(list->dc[i], &dc[i]);
        huffman_optimise(list->ac[i], &ac[i]);
    }
    if ((reason = write_head(job, data, dc, ac, &writer))) return reason;
    if ((reason = write_scan(job, list, dc, ac, &writer))) return reason;
    put_u16(&writer, 0xFFD9);
    *written = (size_t)(writer.at - out);
    return JPEG_OK;
}
