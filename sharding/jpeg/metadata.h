/* Which segments of a JPEG say something about how its pixels look. */
#ifndef TARN_METADATA_H
#define TARN_METADATA_H

#include "jpeg.h"

/* Whether a segment is to be kept: anything but comments and application segments, and of these JFIF, Adobe, ICC
 * profiles, and Exif that turns the picture. body: behind the length. */
int metadata_matters(int marker, const uint8_t *body, int length);

#endif
