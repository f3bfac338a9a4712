/* A picture's entropy-coded symbols, before they are written: what tile.c and gather.c make, and write.c takes.
 *
 * A symbol is kept as symbol << 16 | extra bits. A block is its DC value (biased by DC_BIAS), then its AC symbols up to
 * the end of block. Only the DC differences change: they start from 0 behind every marker. */
#ifndef TARN_SYMBOLS_H
#define TARN_SYMBOLS_H

#include <stdlib.h>

#include "jpeg.h"

#define DC_BIAS 32768
#define DC_LARGEST 2047 /* category 11, the greatest of baseline pictures of 8 bits (T.81, table F.1) */
#define AC_LARGEST 1023 /* category 10 (table F.2) */

typedef struct {
    uint32_t *symbols;
    size_t count, room;
    uint32_t dc[2][256], ac[2][256]; /* frequencies, by table_of */
} symbol_list;

/* Chroma has tables of its own; the fourth of four components is black, which resembles luma. */
static inline int table_of(int component) { return component == 1 || component == 2; }

static inline int category(int value) { return value ? 32 - __builtin_clz((unsigned)(value < 0 ? -value : value)) : 0; }

static inline int has_room(symbol_list *list) { /* for one more block */
    if (list->count + 65 <= list->room) return 1;
    size_t room = list->room * 2 + 4096;
    uint32_t *more = realloc(list->symbols, room * sizeof *more);
    if (!more) return 0;
    list->symbols = more;
    list->room = room;
    return 1;
}

#endif
