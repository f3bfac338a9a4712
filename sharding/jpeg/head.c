/* What readers of a JPEG's head, above all Pillow's, may refuse a picture for, whose pixels would be fine. */
#include "jpeg.h"

#define X_RESOLUTION 0x011A
#define SHORT 3
#define RATIONAL 5

static uint32_t number(const uint8_t *at, int bytes, int little) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[little ? bytes - 1 - i : i];
    return value;
}

/* Whether TIFF's first directory tells resolution, where it does, as one number. */
static int is_plain_exif(const uint8_t *tiff, size_t length) {
    if (length < 8) return 1;
    int little = tiff[0] == 'I';
    uint32_t at = number(tiff + 4, 4, little);
    if (at > length - 2) return 1;
    const uint8_t *entry = tiff + at + 2, *end = tiff + length;
    for (uint32_t left = number(tiff + at, 2, little); left && end - entry >= 12; left--, entry += 12) {
        if (number(entry, 2, little) != X_RESOLUTION) continue;
        uint32_t type = number(entry + 2, 2, little);
        if (type < SHORT || type > RATIONAL || number(entry + 4, 4, little) != 1) return 0;
    }
    return 1;
}

/* Whether no resource of a Photoshop block ends behind its number, where a name's length is looked for. */
static int is_plain_photoshop(const uint8_t *at, size_t length) {
    size_t from = 14;
    while (from + 4 <= length && !memcmp(at + from, "8BIM", 4)) {
        from += 6;
        if (from > length) return 1;
        if (from == length) return 0;
        from += 1 + (size_t)at[from];
        from += from & 1;
        if (from + 4 > length) return 1;
        from += 4 + (size_t)number(at + from, 4, 0);
        from += from & 1;
    }
    return 1;
}

#define BEGINS(word) (length >= sizeof word - 1 && !memcmp(body, word, sizeof word - 1))

static int is_plain_segment(int marker, const uint8_t *body, size_t length) {
    if (marker == 0xE0) return !BEGINS("JFIF") || length >= 14;
    if (marker == 0xE1) return !BEGINS("Exif\0\0") || is_plain_exif(body + 6, length - 6);
    if (marker == 0xE2) return !BEGINS("MPF\0") && (!BEGINS("ICC_PROFILE\0") || length >= 14);
    if (marker == 0xED) return !BEGINS("Photoshop 3.0\0") || is_plain_photoshop(body, length);
    if (marker == 0xEE) return !BEGINS("Adobe") || length >= 12;
    return 1;
}

int jpeg_has_plain_head(const uint8_t *data, size_t size) {
    size_t at = 2;
    while (at + 4 <= size && data[at] == 0xFF) {
        int marker = data[at + 1];
        if (marker == 0xFF) {
            at++;
            continue;
        }
        if (marker == 0xDA) return 1;
        size_t length = (size_t)(data[at + 2] << 8 | data[at + 3]);
        if (length < 2 || length > size - at - 2 || !is_plain_segment(marker, data + at + 4, length - 2)) return 0;
        at += 2 + length;
    }
    return 0;
}
