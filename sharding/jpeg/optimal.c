/* T.81, K.2: Huffman's procedure, code lengths limited to 16 bits, no code of ones alone. */
#include "optimal.h"

#define SYMBOLS 257 /* the last one is nobody's: it takes the code of ones alone */

static int rarest(const uint64_t *left, int but) {
    int found = -1;
    for (int i = 0; i < SYMBOLS; i++) /* the later one of equals, as K.2 has it */
        if (left[i] && i != but && (found < 0 || left[i] <= left[found])) found = i;
    return found;
}

static void code_lengths(const uint32_t *frequencies, int *length) {
    uint64_t left[SYMBOLS];
    int next[SYMBOLS];
    for (int i = 0; i < SYMBOLS; i++) {
        left[i] = i < 256 ? frequencies[i] : 1;
        length[i] = 0;
        next[i] = -1;
    }
    for (;;) {
        int a = rarest(left, -1), b = rarest(left, a);
        if (b < 0) return;
        left[a] += left[b];
        left[b] = 0;
        for (length[a]++; next[a] >= 0; length[a]++) a = next[a];
        next[a] = b;
        for (length[b]++; next[b] >= 0; length[b]++) b = next[b];
    }
}

void huffman_optimise(const uint32_t frequencies[256], huffman_code *out) {
    int length[SYMBOLS], counts[SYMBOLS + 1] = {0};
    memset(out, 0, sizeof *out);
    code_lengths(frequencies, length);
    for (int i = 0; i < SYMBOLS; i++) counts[length[i]]++;
    for (int i = SYMBOLS; i > 16; i--) { /* figure K.3: pairs of codes that are too long move up */
        while (counts[i] > 0) {
            int j = i - 2;
            while (counts[j] == 0) j--;
            counts[i] -= 2;
            counts[i - 1]++;
            counts[j + 1] += 2;
            counts[j]--;
        }
    }
    int longest = 16;
    while (counts[longest] == 0) longest--;
    counts[longest]--;
    for (int i = 1; i <= 16; i++) out->counts[i - 1] = (uint8_t)counts[i];
    for (int wanted = 1; wanted <= SYMBOLS; wanted++) /* rarer symbols have longer codes, equal lengths stay in order */
        for (int i = 0; i < 256; i++)
            if (length[i] == wanted) out->symbols[out->used++] = (uint8_t)i;
    int code = 0, place = 0;
    for (int i = 1; i <= 16; i++, code <<= 1)
        for (int n = 0; n < counts[i]; n++, place++) {
            out->code[out->symbols[place]] = (uint16_t)code++;
            out->length[out->symbols[place]] = (uint8_t)i;
        }
}
