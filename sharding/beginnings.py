"""What a picture's first bytes say that it is."""

Bytes = bytes | memoryview

LONGEST = 12
PNG = b"\x89PNG\r\n\x1a\n"
BEGINNINGS = (
    *((b"\xff\xd8", "jpg"), (PNG, "png"), (b"GIF8", "gif"), (b"BM", "bmp")),
    *((b"II*\0", "tif"), (b"MM\0*", "tif"), (b"II+\0", "tif"), (b"MM\0+", "tif")),  # the latter two: BigTIFF
    *((b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"), (b"\xff\x4f\xff\x51", "j2k")),
)


def told_kind(data: Bytes) -> str | None:
    """jpg, png, webp ... ; a PPM and its like tell too little by them."""
    head = bytes(data[:LONGEST])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return "avif"
    return next((kind for begins, kind in BEGINNINGS if head.startswith(begins)), None)
