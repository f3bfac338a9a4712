#include "metadata.h"

#define ORIENTATION 0x0112

static uint32_t number(const uint8_t *at, int bytes, int little) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[little ? bytes - 1 - i : i];
    return value;
}

/* The orientation that TIFF's first directory tells (Exif 2.32, 4.6.4), 1 where there is none, 0 for what is odd. */
static int orientation(const uint8_t *tiff, int length) {
    if (length < 8 || (memcmp(tiff, "II*\0", 4) && memcmp(tiff, "MM\0*", 4))) return 0;
    int little = tiff[0] == 'I';
    uint32_t at = number(tiff + 4, 4, little);
    if (at > (uint32_t)length - 2) return 0;
    uint32_t entries = number(tiff + at, 2, little);
    if (12 * entries > (uint32_t)length - at - 2) return 0;
    for (const uint8_t *entry = tiff + at + 2; entries--; entry += 12)
        if (number(entry, 2, little) == ORIENTATION) return (int)number(entry + 8, 2, little);
    return 1;
}

int metadata_matters(int marker, const uint8_t *body, int length) {
    if (marker < 0xE0) return 1;
    if (marker == 0xE0) return length >= 5 && !memcmp(body, "JFIF", 5);
    if (marker == 0xE1) return length >= 6 && !memcmp(body, "Exif\0", 6) && orientation(body + 6, length - 6) != 1;
    if (marker == 0xE2) return length >= 12 && !memcmp(body, "ICC_PROFILE", 12);
    return marker == 0xEE && length >= 5 && !memcmp(body, "Adobe", 5);
}
