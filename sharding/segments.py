"""What stands in front of a JPEG's pixels (ITU-T T.81, B.1 and B.2), told without a kernel."""

from collections.abc import Iterator

Bytes = bytes | memoryview

LONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
NO_FRAME = (0xC4, 0xC8, 0xCC)  # of those between C0 and CF, these tell no size
COSINES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # frames of DCT coefficients; the others are lossless or hierarchical
SCAN = 0xDA
EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"  # what their segments, APP1, begin with


def segments(jpeg: Bytes) -> Iterator[tuple[int, int]]:
    """Second byte and offset of each marker up to the first scan's, that one too; it ends early where the bytes are not
    as they must be."""
    at = 2
    while at + 10 <= len(jpeg) and jpeg[at] == 0xFF:
        kind = jpeg[at + 1]
        if kind == 0xFF:  # padding
            at += 1
            continue
        if kind == 0:  # no marker: decoders look for the next one, each in its own way
            return
        yield kind, at
        if kind == SCAN:
            return
        at += 2 if kind in LONE else 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")


def components(jpeg: Bytes) -> int:
    """Of its frame: 1 for grey, 3 for colours, 4 for CMYK; 0 where none is told."""
    return jpeg[at + 9] if (at := frame(jpeg)) else 0


def frame(jpeg: Bytes) -> int:
    """The offset of its marker; 0 where none is found."""
    return next((at for kind, at in segments(jpeg) if 0xC0 <= kind <= 0xCF and kind not in NO_FRAME), 0)


def may_be_turned(jpeg: Bytes) -> bool:
    """Whether something in front of the pixels may tell an orientation, Exif or XMP, or is not as it must be, so that
    Pillow may find more."""
    kind = 0
    for kind, at in segments(jpeg):
        if kind == 0xE1:
            body = bytes(jpeg[at + 4 : at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")])
            if body.startswith(EXIF) or (body.startswith(XMP) and b"tiff:Orientation" in body):
                return True
    return kind != SCAN


def first_scan(jpeg: Bytes) -> int:
    """Its offset; 0 where none is found."""
    return next((at for kind, at in segments(jpeg) if kind == SCAN), 0)


def is_scalable(jpeg: Bytes, bits: int | None = None) -> bool:
    """Whether decoders can make it smaller by its DCT. Of a lossless picture libjpeg-turbo gives all pixels, also where
    fewer were asked for: more than there is room for. bits: that its samples must have, None for any."""
    at = frame(jpeg)
    return at > 0 and jpeg[at + 1] in COSINES and bits in (None, jpeg[at + 4])
