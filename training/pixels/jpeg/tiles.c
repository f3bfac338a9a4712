/* Finding restart intervals in entropy-coded data (T.81, B.1.1.2 and B.2.1), and taking the stuffed bytes out of those
 * that are needed, so that the bit reader needs to know nothing of markers. */
#include "region.h"

/* Offset of the first marker at or behind `from` (an FF followed by neither 00 nor FF), or size. */
static size_t next_marker(const uint8_t *data, size_t size, size_t from) {
#ifdef REGION_AVX2
    const __m256i ff = _mm256_set1_epi8(-1), zero = _mm256_setzero_si256();
    for (; from + 33 <= size; from += 32) {
        __m256i here = _mm256_loadu_si256((const __m256i *)(data + from));
        __m256i behind = _mm256_loadu_si256((const __m256i *)(data + from + 1));
        __m256i harmless = _mm256_or_si256(_mm256_cmpeq_epi8(behind, zero), _mm256_cmpeq_epi8(behind, ff));
        unsigned found = (unsigned)_mm256_movemask_epi8(_mm256_andnot_si256(harmless, _mm256_cmpeq_epi8(here, ff)));
        if (found) return from + (size_t)__builtin_ctz(found);
    }
#endif
    while (from + 1 < size) {
        const uint8_t *found = memchr(data + from, 0xFF, size - 1 - from);
        if (!found) return size;
        from = (size_t)(found - data);
        if (found[1] != 0 && found[1] != 0xFF) return from;
        from++;
    }
    return size;
}

/* Copies entropy-coded bytes up to `to`, FF 00 becoming FF and fill bytes nothing. Gives the end of the copy; up to 32
 * bytes behind it are overwritten. */
static uint8_t *unstuff(const uint8_t *from, const uint8_t *to, uint8_t *out) {
    while (from < to) {
#ifdef REGION_AVX2
        while (to - from >= 32) {
            __m256i here = _mm256_loadu_si256((const __m256i *)from);
            _mm256_storeu_si256((__m256i *)out, here);
            unsigned found = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(here, _mm256_set1_epi8(-1)));
            size_t plain = found ? (size_t)__builtin_ctz(found) : 32;
            from += plain;
            out += plain;
            if (found) break;
        }
        if (from == to) break;
#endif
        uint8_t byte = *from++;
        if (byte == 0xFF) {
            if (from == to || *from == 0xFF) continue; /* a fill byte */
            from++;
        }
        *out++ = byte;
    }
    return out;
}

/* Opens an interval behind the one opened last, whose bytes it overwrites. */
int tiles_find(tile_reader *tiles, int64_t interval, bit_stream *out) {
    for (;; tiles->interval++) {
        size_t start = tiles->scanned, end = next_marker(tiles->data, tiles->size, start);
        if (tiles->interval + 1 < tiles->intervals) {
            if (end >= tiles->size || tiles->data[end + 1] != 0xD0 + (tiles->interval & 7)) return JPEG_DAMAGED;
            tiles->scanned = end + 2;
        }
        if (tiles->interval < interval) continue;
        uint8_t *copy = tiles->unstuffed;
        memset(out, 0, sizeof *out);
        out->at = copy;
        out->end = unstuff(tiles->data + start, tiles->data + end, copy);
        tiles->interval++;
        return JPEG_OK;
    }
}
