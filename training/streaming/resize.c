/* A box of an RGB picture, resized, mirrored where asked, and written once into its place in a batch.

   Rows are taken in bands of 32. A band is transposed, so that a column is a line of 32 bytes; columns are blended to
   the target's columns, three lines a pixel; the outcome is transposed back; and target rows are blended out of finished
   rows as soon as all of theirs are there. Both directions are thus sums of whole lines, for which vectors suit.
   Values between the two are of 8 + 8 bits, or where the outcome shall be Pillow's, of 8 bits as Pillow's are. */
#include "resize_blend.h"

enum status { DONE, BAD_ARGUMENTS, NO_MEMORY };
enum { LARGEST_SIDE = 1 << 20 };

struct resizer {
    uint8_t *memory;
    size_t room, used;
};

struct picture {
    const uint8_t *pixels;
    ptrdiff_t stride;
    int width, height;   /* of the box, px */
    int readable_height; /* rows; at least 16 of them, of at least 32 bytes */
};

struct plan {
    struct axis across, down;
    uint8_t *lines;   /* a band's source columns, each of 32 rows */
    u16x16 *columns;  /* a band's target columns */
    uint8_t *rows;    /* target columns as rows, all bands', of bytes where exact, else of words */
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
    size_t wide = up_to((size_t)3 * width, LINE), tall = up_to(height, LINE) + UNIT;
    resizer->used = 0;
    lay_axis(resizer, &plan->across, out_width);
    lay_axis(resizer, &plan->down, out_height);
    plan->unrounded = take(resizer, (most + 2) * sizeof(double));
    plan->stride = up_to((size_t)3 * out_width, LINE);
    plan->lines = take(resizer, wide * LINE);
    plan->columns = take(resizer, (size_t)plan->stride * sizeof(u16x16) * 2);
    plan->rows = take(resizer, tall * plan->stride * sizeof(uint16_t));
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

static void store_units(const struct plan *plan, int bytes, int first, int second) {
    if (plan->exact) {
        uint8_t *low = plan->rows + first * plan->stride, *high = plan->rows + second * plan->stride;
        for (int at = 0; at < bytes; at += 16)
            transpose_bytes((const uint8_t *)(plan->columns + at), LINE, low + at, high + at, plan->stride);
        return;
    }
    for (int odd = 0; odd < 2; odd++) {
        uint16_t *rows = (uint16_t *)plan->rows;
        uint16_t *low = rows + (first + odd) * plan->stride, *high = rows + (second + odd) * plan->stride;
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
    for (; row < end; row++) memcpy(plan->rows + row * plan->stride, picture->pixels + row * picture->stride, bytes);
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
    const uint8_t *lines = plan->rows + down->first[row] * plan->stride * (plan->exact ? 1 : 2);
    const uint32_t *weights = down->weights + (size_t)row * down->room;
    int taps = down->needed[row];
#define DOWN(taps) blend_row(out, bytes, lines, plan->stride, weights, taps, 0)
#define DOWN_EXACTLY(taps) blend_row(out, bytes, lines, plan->stride, weights, taps, 1)
    if (plan->exact) FOR_TAPS(taps, DOWN_EXACTLY)
    else FOR_TAPS(taps, DOWN)
}

static enum status resize_box(struct resizer *resizer, struct picture picture, double left, double right, double top,
                              double bottom, uint8_t *out, ptrdiff_t out_stride, int out_width, int out_height,
                              enum filter filter, int flip) {
    struct plan plan = {0};
    plan.across.room = most_taps(filter, left, right, picture.width, out_width);
    plan.down.room = most_taps(filter, top, bottom, picture.height, out_height);
    plan.exact = filter == EXACT || plan.across.room > MOST_FAST_TAPS || plan.down.room > MOST_FAST_TAPS;
    plan.across.exact = plan.down.exact = plan.exact;
    enum status status = make_room(resizer, &plan, picture.width, picture.height, out_width, out_height);
    if (status != DONE) return status;
    fill_axis(&plan.across, filter, left, right, picture.width, out_width, plan.unrounded);
    fill_axis(&plan.down, filter, top, bottom, picture.height, out_height, plan.unrounded);
    widen(&picture, &plan);
    for (int row = 0, made = 0; row < picture.height; row += LINE) {
        int rows = row + LINE < picture.height ? row + LINE : picture.height;
        resize_band(&picture, &plan, row, out_width, flip);
        for (; made < out_height && plan.down.first[made] + plan.down.needed[made] <= rows; made++)
            make_row(&plan, made, out + made * out_stride, 3 * out_width);
    }
    return DONE;
}

/* Pillow's order from version 13 on where rows are much reduced: their number first, through a picture of its own. */
static enum status resize_down_first(struct resizer *resizer, struct picture picture, double left, double right,
                                     double top, double bottom, uint8_t *out, ptrdiff_t out_stride, int out_width,
                                     int out_height, int flip) {
    uint8_t *lower = malloc((size_t)3 * picture.width * out_height);
    if (!lower) return NO_MEMORY;
    struct picture between = {lower, (ptrdiff_t)3 * picture.width, picture.width, out_height, 0};
    enum status status = resize_box(resizer, picture, 0, picture.width, top, bottom, lower, between.stride,
                                    picture.width, out_height, EXACT, 0);
    if (status == DONE)
        status = resize_box(resizer, between, left, right, 0, out_height, out, out_stride, out_width, out_height,
                            EXACT, flip);
    free(lower);
    return status;
}

/* Resizes [left, left + width) x [top, top + height) of a source picture (uint8, RGB, rows `source_stride` bytes apart)
   to out_width x out_height pixels at `out`. A box may begin and end within pixels; only pixels it touches are read.
   Returns 0; 1 where the box is empty or not within the picture, or a size or filter is none; 2 without memory. */
int resize_rgb(struct resizer *resizer, const uint8_t *source, ptrdiff_t source_stride, int source_width,
               int source_height, double left, double top, double width, double height, uint8_t *out,
               ptrdiff_t out_stride, int out_width, int out_height, int filter, int flip) {
    double right = left + width, bottom = top + height;
    if (!(left >= 0 && top >= 0 && width > 0 && height > 0 && right <= source_width && bottom <= source_height) ||
        source_width > LARGEST_SIDE || source_height > LARGEST_SIDE || out_width < 1 || out_height < 1 ||
        out_width > LARGEST_SIDE || out_height > LARGEST_SIDE || filter < ANTIALIAS || filter > EXACT_DOWN_FIRST)
        return BAD_ARGUMENTS;
    int begin = (int)left, top_row = (int)top;
    struct picture picture = {source + top_row * source_stride + 3 * (ptrdiff_t)begin, source_stride,
                              (int)ceil(right) - begin, (int)ceil(bottom) - top_row, 0};
    left -= begin, right -= begin, top -= top_row, bottom -= top_row;
    if (filter == EXACT_DOWN_FIRST)
        return resize_down_first(resizer, picture, left, right, top, bottom, out, out_stride, out_width, out_height, flip);
    return resize_box(resizer, picture, left, right, top, bottom, out, out_stride, out_width, out_height, filter, flip);
}
