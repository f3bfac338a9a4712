/* Lookup tables for Huffman codes, made anew for every picture (T.81, C and F.2.2). */
#include "region.h"

/* Natural place of the k-th coefficient; the last one where an end of block, or damage, leads beyond. */
#define L 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63
static const uint8_t places[256] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,
    7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46,
    53, 60, 61, 54, 47, 55, 62, 63, L,  L,  L,  L,  L,  L,  L,  L,  L,  L,  L,  L};
#undef L

static void fill(uint32_t *at, int count, uint32_t entry) {
    for (int i = 0; i < count; i++) at[i] = entry;
}

static void enter_code(uint32_t *look, int code, int length, int symbol) {
    int size = symbol & 15, spare = LOOK - length;
    uint32_t *at = look + ((size_t)code << spare), entry = steps_of(symbol) << 8;
    if (size > spare) {
        fill(at, 1 << spare, entry | (uint32_t)length | PARTIAL | (uint32_t)size << 16);
        return;
    }
    entry |= (uint32_t)(length + size);
    for (int value = 0; value < 1 << size; value++, at += 1 << (spare - size))
        fill(at, 1 << (spare - size), entry | (uint32_t)extend(value, size) << 16);
}

/* Two coefficients to a lookup, wherever the second one's bits are among those looked at. */
static void pair_up(const uint32_t *single, uint64_t *look) {
    for (unsigned i = 0; i < 1 << LOOK; i++) {
        uint64_t one = single[i], bits = one & 63, steps = one >> 8 & 255, value = one >> 16;
        uint32_t next = single[i << bits & ((1 << LOOK) - 1)];
        int fits = !((one | next) & (PARTIAL | LONG)) && steps < END_OF_BLOCK && bits + (next & 63) <= LOOK;
        uint64_t both = fits ? steps + (next >> 8 & 255) : steps, second = fits ? next >> 16 : value;
        look[i] = (one + (fits ? next & 63 : 0)) | both << 32 | bits << 40 | second << 48;
    }
}

/* JPEG_TABLES where counts and symbols make no prefix code. */
int huffman_prepare(huffman *out, const uint8_t *table, int is_dc) {
    uint32_t single[1 << LOOK];
    int32_t code = 0, place = 0;
    if (is_dc) memset(out->look_dc, 0, sizeof out->look_dc);
    for (int length = 1; length <= 16; length++, code <<= 1) {
        int count = table[length - 1];
        out->first[length] = code;
        out->index[length] = place;
        if (code + count > 1 << length) return JPEG_TABLES;
        for (int i = 0; i < count; i++, code++, place++) {
            int symbol = out->symbols[place] = table[16 + place], spare = LOOK_DC - length;
            if (is_dc && symbol > 15) return JPEG_TABLES;
            if (!is_dc && length <= LOOK) enter_code(single, code, length, symbol);
            for (int j = 0; is_dc && spare >= 0 && j < 1 << spare; j++)
                out->look_dc[(code << spare) + j] = (uint16_t)(length | symbol << 8);
        }
        out->last[length] = code;
        if (length == LOOK) fill(single + code, (1 << LOOK) - code, LONG);
    }
    if (!is_dc) {
        pair_up(single, out->look);
        memcpy(out->places, places, sizeof places);
    }
    return place ? JPEG_OK : JPEG_TABLES;
}

/* Length and symbol of a code longer than `looked` bits, as length | symbol << 8; 0 where there is no such code. */
uint32_t long_code(const huffman *table, uint64_t bits, int looked) {
    for (int length = looked + 1; length <= 16; length++) {
        int32_t code = (int32_t)(bits >> (64 - length));
        if (code < table->last[length] && code >= table->first[length])
            return (uint32_t)length | (uint32_t)table->symbols[table->index[length] + code - table->first[length]] << 8;
    }
    return 0;
}
