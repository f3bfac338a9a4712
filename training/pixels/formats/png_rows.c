/* Rows of a PNG as they come out of inflate, their filters undone (PNG 1.2, section 6), no further right than is needed,
   and of those that are wanted the wanted pixels as RGB. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { NONE, SUB, UP, AVERAGE, PAETH };

typedef uint8_t bytes8 __attribute__((vector_size(8)));
typedef int16_t words8 __attribute__((vector_size(16)));

static inline words8 load(const uint8_t *at, int size) {
    bytes8 all = {0};
    memcpy(&all, at, size);
    return __builtin_convertvector(all, words8);
}

static inline void store(uint8_t *at, words8 value, int size) {
    bytes8 all = __builtin_convertvector(value, bytes8);
    memcpy(at, &all, size);
}

static inline words8 choose(words8 mask, words8 one, words8 other) { return (one & mask) | (other & ~mask); }

static inline words8 magnitude(words8 value) {
    words8 negative = value < 0;
    return (value ^ negative) - negative;
}

static inline words8 paeth(words8 left, words8 above, words8 corner) {
    words8 across = above - corner, down = left - corner;
    words8 to_left = magnitude(across), to_above = magnitude(down), to_corner = magnitude(across + down);
    words8 near = choose(to_above <= to_corner, above, corner);
    return choose((to_left <= to_above) & (to_left <= to_corner), left, near);
}

/* Filters in which a pixel waits for its left neighbour. */
static inline void chained(int filter, const uint8_t *raw, const uint8_t *above, uint8_t *row, int length, int pixel) {
    words8 left = {0}, corner = {0};
    for (int at = 0; at < length; at += pixel) {
        words8 up = load(above + at, pixel), value = load(raw + at, pixel);
        if (filter == SUB) value += left;
        else if (filter == AVERAGE) value += (left + up) >> 1;
        else value += paeth(left, up, corner);
        left = value & 255;
        corner = up;
        store(row + at, left, pixel);
    }
}

/* A constant size of pixels makes loops of registers. */
static void undo(int filter, const uint8_t *raw, const uint8_t *above, uint8_t *row, int length, int pixel) {
    switch (filter * 16 + pixel) {
#define CASE(filter, pixel) \
    case filter * 16 + pixel: chained(filter, raw, above, row, length, pixel); break;
#define CASES(filter) CASE(filter, 1) CASE(filter, 2) CASE(filter, 3) CASE(filter, 4) CASE(filter, 6) CASE(filter, 8)
        CASES(SUB) CASES(AVERAGE) CASES(PAETH)
    }
}

/* rows: rows of 1 + stride bytes, of which the first `needed` are made, whole pixels of `pixel` bytes (1, 2, 3, 4, 6, 8).
   last: needed bytes, the row before, all 0 before the first; holds the last row afterwards. Pixels from `left` to
   the needed ones' end of the rows from `skipped` on go to out, 3 bytes each: those of the palette (256 x 3) where there
   is one, else the pixel's bytes 0, step and 2 * step. Returns 0, 1 for a filter that is none, 2 without memory. */
int png_rows(const uint8_t *rows, size_t stride, int count, int needed, int pixel, uint8_t *last, int skipped, int left,
             int step, const uint8_t *palette, uint8_t *out) {
    uint8_t *spare = malloc((size_t)needed), *above = last, *row = spare;
    if (!spare) return 2;
    int status = 0, columns = needed / pixel - left;
    for (int y = 0; y < count && !status; y++, rows += stride + 1) {
        const uint8_t *raw = rows + 1;
        switch (rows[0]) {
        case NONE: memcpy(row, raw, needed); break;
        case UP:
            for (int i = 0; i < needed; i++) row[i] = (uint8_t)(raw[i] + above[i]);
            break;
        case SUB: case AVERAGE: case PAETH: undo(rows[0], raw, above, row, needed, pixel); break;
        default: status = 1; continue;
        }
        if (y >= skipped) {
            const uint8_t *from = row + (size_t)left * pixel;
            if (palette)
                for (int x = 0; x < columns; x++) memcpy(out + 3 * x, palette + 3 * from[x], 3);
            else if (pixel == 3) memcpy(out, from, (size_t)columns * 3);
            else
                for (int x = 0; x < columns; x++, from += pixel) {
                    out[3 * x] = from[0];
                    out[3 * x + 1] = from[step];
                    out[3 * x + 2] = from[2 * step];
                }
            out += (size_t)columns * 3;
        }
        uint8_t *made = row;
        row = above;
        above = made;
    }
    if (above != last) memcpy(last, above, needed);
    free(spare);
    return status;
}
