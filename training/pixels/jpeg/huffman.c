/* Lookup tables for Huffman codes, made anew for every picture (T.81, C and F.2.2). */
#include "region.h"

static void fill(lookup *at, int count, lookup entry) {
    for (int i = 0; i < count; i++) at[i] = entry;
}

static void enter_code(lookup *look, int code, int length, int symbol) {
    int size = symbol & 15, spare = LOOK - length, steps = steps_of(symbol);
    lookup *at = look + ((size_t)code << spare), entry = {(uint8_t)length, (uint8_t)size, (uint8_t)steps, INCOMPLETE, 0, 0};
    if (size > spare) {
        fill(at, 1 << spare, entry);
        return;
    }
    entry.bits = entry.first_bits = (uint8_t)(length + size);
    entry.steps = (uint8_t)steps;
    for (int i = 0; i < 1 << size; i++, at += 1 << (spare - size)) {
        entry.first_value = entry.value = (int16_t)extend(i, size);
        fill(at, 1 << (spare - size), entry);
    }
}

/* Two coefficients to a lookup, wherever the second one's bits are among those looked at. */
static void pair_up(const lookup *single, lookup *look) {
    for (unsigned i = 0; i < 1 << LOOK; i++) {
        lookup one = single[i], next = single[i << one.bits & ((1 << LOOK) - 1)];
        int fits = one.steps < END_OF_BLOCK && next.steps != INCOMPLETE && one.bits + next.bits <= LOOK;
        if (fits) {
            one.bits = (uint8_t)(one.bits + next.bits);
            one.steps = (uint8_t)(one.steps + next.steps);
            one.value = next.value;
        }
        look[i] = one;
    }
}

/* JPEG_TABLES where counts and symbols make no prefix code. */
int huffman_prepare(huffman *out, const uint8_t *table, int is_dc) {
    lookup single[1 << LOOK];
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
        if (length == LOOK) fill(single + code, (1 << LOOK) - code, (lookup){.first_steps = END_OF_BLOCK, .steps = INCOMPLETE});
    }
    if (!is_dc) {
        pair_up(single, out->look);
        memset(out->places, 63, sizeof out->places);
        memcpy(out->places, jpeg_natural_order, 64);
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
