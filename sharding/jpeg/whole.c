#include "jpeg.h"

int jpeg_is_whole(const uint8_t *data, size_t size) {
    jpeg_header header;
    if (jpeg_parse(data, size, &header)) return 0;
    jpeg_huffman table;
    for (int i = 0; i < header.components; i++)
        if (!jpeg_huffman_build(header.huffs[0][header.dc[i]], &table) ||
            !jpeg_huffman_build(header.huffs[1][header.ac[i]], &table))
            return 0;
    size_t end = jpeg_scan_end(data, size, (size_t)header.entropy);
    return end + 2 <= size && data[end + 1] == 0xD9;
}
