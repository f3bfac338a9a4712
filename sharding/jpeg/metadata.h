/* Which segments of a JPEG say something about how its pixels look. */
#ifndef TARN_METADATA_H
#define TARN_METADATA_H

#include "jpeg.h"

typedef struct {
    int exif, xmp; /* whether that tells how the picture is turned */
} jpeg_turning;

/* Of all segments up to the first scan, as Pillow reads them: Exif of several segments is one, and begins in the first of
 * them; where it tells no orientation, the last XMP packet may. Both stay where Exif is odd. */
jpeg_turning metadata_turning(const uint8_t *data, int32_t scan);

/* Whether a segment is to be kept: anything but comments and application segments, and of these JFIF, Adobe, ICC
 * profiles, and what turns the picture. body: behind the length. */
int metadata_matters(const jpeg_turning *turning, int marker, const uint8_t *body, int length);

#endif
