/* A box of an RGB picture, or a window of a resized one, mirrored where asked, and written once into its place in a batch.

   Rows are taken in bands of 32. A band is transposed, so that a column is a line of 32 bytes; columns are blended to
   the target's columns, three lines a pixel; the outcome is transposed back; and target rows are blended out of finished
   rows as soon as all of theirs are there. Both directions are thus sums of whole lines, for which vectors suit.
   Values between the two are of 8 + 8 bits, or where the outcome shall be Pillow's, of 8 bits as Pillow's are. */
#include "resize_blend.h"

enum status { DONE, BAD_ARGUMENTS, NO_MEMORY };
enum { LARGEST_SIDE = 1 << 24 };

struct resizer {
    uint8_t *memory;
    size_t room, used;
};

struct picture {
    const uint8_t *pixels;
    ptrdiff_t stride;
    int width, height;   /* of what is given, px */
    int readable_height; /* rows; at least 16 of them, of at least 32 bytes */
};

struct target {
    uint8_t *pixels;
    ptrdiff_t stride;
    int width, height;
};

struct plan {
    struct axis across, down;
    uint8_t *lines;   /* a band's source columns, each of 32 rows */
    u16x16 *columns;  /* a band's target columns */
    uint8_t *rows;    /* target columns as rows, of bytes where exact, else of words; as many as are still needed */
    int base;         /* the first of them */
    ptrdiff_t stride; /* of rows, in bytes or words */
    int exact;
    uint8_t *small;   /* a copy of a picture too small for the vectors */
    double *unrounded; /* weights of a target pixel */
};

struct resizer *resizer_new(void) { return calloc(1, sizeof(struct resizer)); }

void resizer_free(struct resizer *resizer) {
    if (resizer) free(resizer->memory);
    free(resizer);
}

static size_t up_to(size_t number, size_t multiple) { return (number + multiple - 1) / multiple * multiple; }

/* The next piece of the memory, or of a memory yet to be had, of which only the size is counted. */
static void *take(struct resizer *resizer, size_t bytes) {
    void *piece = resizer->memory ? resizer->memory + resizer->used : NULL;
    resizer->used += up_to(bytes, 64);
    return piece;
}

static void lay_axis(struct resizer *resizer, struct axis *axis, int size) {
    axis->first = take(resizer, size * sizeof *axis->first);
    axis->needed = take(resizer, size * sizeof *axis->needed);
    axis->weights = take(resizer, (size_t)size * axis->room * sizeof *axis->weights);
}

static void lay_out(struct resizer *resizer, struct plan *plan, int width, int height, int out_width, int out_height) {
    int most = plan->across.room > plan->down.room ? plan->across.room : plan->down.room;
    size_t wide = up_to((size_t)3 * width, LINE), tall = up_to(height, LINE);
    resizer->used = 0;
    lay_axis(resizer, &plan->across, out_width);
    lay_axis(resizer, &plan->down, out_height);
    plan->unrounded = take(resizer, (most + 2) * sizeof(double));
    plan->stride = up_to((size_t)3 * out_width, LINE);
    plan->lines = take(resizer, wide * LINE);
    plan->columns = take(resizer, (size_t)plan->stride * sizeof(u16x16) * 2);
    plan->rows = take(resizer, (plan->down.room + 2 * UNIT + LINE) * plan->stride * sizeof(uint16_t));
    plan->small = take(resizer, height < UNIT || 3 * width < LINE ? tall * wide : 0);
}

static enum status make_room(struct resizer *resizer, struct plan *plan, int width, int height, int out_width,
                             int out_height) {
    lay_out(resizer, plan, width, height, out_width, out_height);
    if (resizer->used > resizer->room) {
        free(resizer->memory);
        resizer->room = resizer->used + resizer->used / 4;
        resizer->memory = aligned_alloc(64, up_to(resizer->room, 64));
        if (!resizer->memory) resizer->room = 0;
    }
    if (!resizer->memory) return NO_MEMORY;
    lay_out(resizer, plan, width, height, out_width, out_height);
    return DONE;
}

/* A picture below 16 rows or 32 bytes a row is copied to where more can be read. */
static void widen(struct picture *picture, struct plan *plan) {
    size_t bytes = (size_t)3 * picture->width, wide = up_to(bytes, LINE);
    picture->readable_height = picture->height;
    if (picture->height >= UNIT && bytes >= LINE) return;
    picture->readable_height = (int)up_to(picture->height, LINE);
    memset(plan->small, 0, wide * picture->readable_height);
    for (int row = 0; row < picture->height; row++)
        memcpy(plan->small + row * wide, picture->pixels + row * picture->stride, bytes);
    picture->pixels = plan->small;
    picture->stride = (ptrdiff_t)wide;
}

/* 16 rows, from `row` on, to the first or second half of the band's lines. The last 32 columns may overlap others. */
static void load_unit(const struct picture *picture, int row, uint8_t *lines) {
    const uint8_t *from = picture->pixels + row * picture->stride;
    int bytes = 3 * picture->width, last = bytes > LINE ? bytes - LINE : 0;
    for (int at = 0;; at += LINE) {
        if (at > last) at = last;
        uint8_t *to = lines + (ptrdiff_t)at * LINE;
        transpose_bytes(from + at, picture->stride, to, to + UNIT * LINE, LINE);
        if (at == last) return;
    }
}

static void *row_of(const struct plan *plan, int row) {
    return plan->rows + (row - plan->base) * plan->stride * (plan->exact ? 1 : 2);
}

static void store_units(const struct plan *plan, int bytes, int first, int second) {
    if (plan->exact) {
        uint8_t *low = row_of(plan, first), *high = row_of(plan, second);
        for (int at = 0; at < bytes; at += 16)
            transpose_bytes((const uint8_t *)(plan->columns + at), LINE, low + at, high + at, plan->stride);
        return;
    }
    for (int odd = 0; odd < 2; odd++) {
        uint16_t *low = row_of(plan, first + odd), *high = row_of(plan, second + odd);
        for (int at = 0; at < bytes; at += 8)
            transpose_words(plan->columns + 2 * at + odd, 2, low + at, high + at, 2 * plan->stride);
    }
}

static void blend_band(const struct plan *plan, int size, int flip) {
#define ACROSS(taps) blend_columns(plan->columns, plan->lines, &plan->across, size, flip, taps, 0)
#define ACROSS_EXACTLY(taps) blend_columns(plan->columns, plan->lines, &plan->across, size, flip, taps, 1)
    if (plan->exact) FOR_TAPS(plan->across.taps, ACROSS_EXACTLY)
    else FOR_TAPS(plan->across.taps, ACROSS)
}

static void copy_rows(const struct picture *picture, const struct plan *plan, int row, int bytes) {
    int end = row + LINE < picture->height ? row + LINE : picture->height;
    for (; row < end; row++) memcpy(row_of(plan, row), picture->pixels + row * picture->stride, bytes);
}

/* Rows [row, row + 32) of the picture, as far as it has them, to rows of the target's width. */
static void resize_band(const struct picture *picture, const struct plan *plan, int row, int size, int flip) {
    int last = picture->readable_height - UNIT, first = row < last ? row : last;
    int second = first + UNIT < last ? first + UNIT : last; /* rows at the end may be done twice */
    if (plan->across.identity && plan->exact && !flip) {
        copy_rows(picture, plan, row, 3 * size);
        return;
    }
    load_unit(picture, first, plan->lines);
    if (second != first) load_unit(picture, second, plan->lines + UNIT);
    blend_band(plan, size, flip);
    store_units(plan, 3 * size, first, second != first ? second : first + UNIT); /* of one unit: behind the end */
}

static void make_row(const struct plan *plan, int row, uint8_t *out, int bytes) {
    const struct axis *down = &plan->down;
    const void *lines = row_of(plan, down->first[row]);
    const uint32_t *weights = down->weights + (size_t)row * down->room;
    int taps = down->needed[row];
#define DOWN(taps) blend_row(out, bytes, lines, plan->stride, weights, taps, 0)
#define DOWN_EXACTLY(taps) blend_row(out, bytes, lines, plan->stride, weights, taps, 1)
    if (plan->exact) FOR_TAPS(taps, DOWN_EXACTLY)
    else FOR_TAPS(taps, DOWN)
}

/* Rows before `first` make room, so that the others stay in the nearest cache. */
static void forget_rows(struct plan *plan, int first, int end) {
    if (first <= plan->base) return;
    const uint8_t *from = row_of(plan, first);
    memmove(plan->rows, from, (const uint8_t *)row_of(plan, end) - from);
    plan->base = first;
}

static enum status resize_picture(struct resizer *resizer, struct picture picture, const struct stretch *across,
                                  const struct stretch *down, struct target out, enum filter filter, int flip) {
    struct plan plan = {0};
    plan.across.room = most_taps(filter, across);
    plan.down.room = most_taps(filter, down);
    plan.exact = filter == EXACT || filter == BICUBIC || plan.across.room > MOST_FAST_TAPS || plan.down.room > MOST_FAST_TAPS;
    plan.across.exact = plan.down.exact = plan.exact;
    enum status status = make_room(resizer, &plan, picture.width, picture.height, out.width, out.height);
    if (status != DONE) return status;
    if (!fill_axis(&plan.across, filter, across, picture.width, out.width, plan.unrounded) ||
        !fill_axis(&plan.down, filter, down, picture.height, out.height, plan.unrounded))
        return BAD_ARGUMENTS;
    widen(&picture, &plan);
    for (int row = 0, made = 0; row < picture.height; row += LINE) {
        int rows = row + LINE < picture.height ? row + LINE : picture.height;
        resize_band(&picture, &plan, row, out.width, flip);
        for (; made < out.height && plan.down.first[made] + plan.down.needed[made] <= rows; made++)
            make_row(&plan, made, out.pixels + made * out.stride, 3 * out.width);
        int kept = rows - UNIT; /* which the last band may write again */
        if (made < out.height && plan.down.first[made] < kept) kept = plan.down.first[made];
        forget_rows(&plan, kept, rows);
    }
    return DONE;
}

/* Pillow's order from version 13 on where rows are much reduced: their number first, through a picture of its own. */
static enum status resize_down_first(struct resizer *resizer, struct picture picture, const struct stretch *across,
                                     const struct stretch *down, struct target out, enum filter filter,
                                     int flip) {
    int width = picture.width, height = out.height;
    uint8_t *lower = malloc((size_t)3 * width * height);
    if (!lower) return NO_MEMORY;
    struct picture between = {lower, (ptrdiff_t)3 * width, width, height, 0};
    struct target shrunk = {lower, between.stride, width, height};
    struct stretch as_wide = {0, width, width, width, 0, 0}, as_tall = {0, height, height, height, 0, 0};
    enum status status = resize_picture(resizer, picture, &as_wide, down, shrunk, filter, 0);
    if (status == DONE) status = resize_picture(resizer, between, across, &as_tall, out, filter, flip);
    free(lower);
    return status;
}

static int is_sound(const struct stretch *stretch, int given, int made) {
    return stretch->from >= 0 && stretch->from < stretch->to && stretch->to <= stretch->source &&
           stretch->source <= LARGEST_SIDE && stretch->size <= LARGEST_SIDE && stretch->first >= 0 && made >= 1 &&
           made <= stretch->size - stretch->first && stretch->origin >= 0 && stretch->origin <= LARGEST_SIDE &&
           given >= 1 && given <= LARGEST_SIDE;
}

/* Stretches a source picture (uint8, RGB, rows `source_stride` bytes apart) to out_width x out_height pixels at `out`.
   Returns 0; 1 where a stretch is none or needs pixels that are not given, or a size or filter is none; 2 without
   memory. */
int resize_rgb(struct resizer *resizer, const uint8_t *source, ptrdiff_t source_stride, int source_width,
               int source_height, const struct stretch *across, const struct stretch *down, uint8_t *out,
               ptrdiff_t out_stride, int out_width, int out_height, int filter, int flip) {
    struct picture picture = {source, source_stride, source_width, source_height, 0};
    struct target target = {out, out_stride, out_width, out_height};
    if (!is_sound(across, source_width, out_width) || !is_sound(down, source_height, out_height) ||
        filter < ANTIALIAS || filter > BICUBIC_DOWN_FIRST)
        return BAD_ARGUMENTS;
    if (filter == EXACT_DOWN_FIRST) return resize_down_first(resizer, picture, across, down, target, EXACT, flip);
    if (filter == BICUBIC_DOWN_FIRST) return resize_down_first(resizer, picture, across, down, target, BICUBIC, flip);
    return resize_picture(resizer, picture, across, down, target, filter, flip);
}
