#include "metadata.h"

#define ORIENTATION 0x0112
#define SHORT 3
#define UNTOLD (-1)
#define ODD 0

static const char EXIF[] = "Exif\0", XMP[] = "http://ns.adobe.com/xap/1.0/"; /* with the zero behind them */

static uint32_t number(const uint8_t *at, int bytes, int little) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[little ? bytes - 1 - i : i];
    return value;
}

/* The orientation that TIFF's first directory tells (Exif 2.32, 4.6.4): 1 to 8, or ODD where readers may differ. */
static int exif_orientation(const uint8_t *tiff, int length) {
    if (length < 8 || (memcmp(tiff, "II*\0", 4) && memcmp(tiff, "MM\0*", 4))) return ODD;
    int little = tiff[0] == 'I';
    uint32_t at = number(tiff + 4, 4, little);
    if (at > (uint32_t)length - 2) return ODD;
    uint32_t entries = number(tiff + at, 2, little);
    if (12 * entries > (uint32_t)length - at - 2) return ODD;
    for (const uint8_t *entry = tiff + at + 2; entries--; entry += 12)
        if (number(entry, 2, little) == ORIENTATION) {
            uint32_t type = number(entry + 2, 2, little), count = number(entry + 4, 4, little);
            uint32_t told = number(entry + 8, 2, little);
            return type == SHORT && count == 1 && told >= 1 && told <= 8 ? (int)told : ODD;
        }
    return UNTOLD;
}

/* The same of an XMP packet, `tiff:Orientation="6"` or `<tiff:Orientation>6` (XMP part 2, 3.2). */
static int xmp_orientation(const uint8_t *packet, int length) {
    static const char name[] = "tiff:Orientation";
    const int named = sizeof name - 1;
    for (; length >= named + 2; packet++, length--) {
        if (*packet != 't' || memcmp(packet, name, named)) continue;
        const uint8_t *told = packet + named;
        if (*told == '>') told++;
        else if (told[0] == '=' && told[1] == '"') told += 2;
        else continue;
        if (told < packet + length && *told >= '0' && *told <= '9') return *told - '0';
    }
    return UNTOLD;
}

static int is_exif(int marker, const uint8_t *body, int length) {
    return marker == 0xE1 && length >= (int)sizeof EXIF && !memcmp(body, EXIF, sizeof EXIF);
}

static int is_xmp(int marker, const uint8_t *body, int length) {
    return marker == 0xE1 && length >= (int)sizeof XMP && !memcmp(body, XMP, sizeof XMP);
}

jpeg_turning metadata_turning(const uint8_t *data, int32_t scan) {
    int exif = UNTOLD, xmp = UNTOLD, found = 0;
    for (int32_t at = 2; at < scan;) {
        int marker = data[at + 1], length = (data[at + 2] << 8 | data[at + 3]) - 2;
        if (marker == 0xFF) {
            at++;
            continue;
        }
        const uint8_t *body = data + at + 4;
        if (is_exif(marker, body, length) && !found++)
            exif = exif_orientation(body + sizeof EXIF, length - (int)sizeof EXIF);
        else if (is_xmp(marker, body, length)) xmp = xmp_orientation(body + sizeof XMP, length - (int)sizeof XMP);
        at += 4 + length;
    }
    return (jpeg_turning){.exif = exif != UNTOLD && exif != 1, .xmp = exif <= ODD && xmp > 1 && xmp < 9};
}

int metadata_matters(const jpeg_turning *turning, int marker, const uint8_t *body, int length) {
    if (marker < 0xE0) return 1;
    if (marker == 0xE0) return length >= 5 && !memcmp(body, "JFIF", 5);
    if (marker == 0xE1)
        return (turning->exif && is_exif(marker, body, length)) || (turning->xmp && is_xmp(marker, body, length));
    if (marker == 0xE2) return length >= 12 && !memcmp(body, "ICC_PROFILE", 12);
    return marker == 0xEE && length >= 5 && !memcmp(body, "Adobe", 5);
}
