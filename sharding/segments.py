"""What stands in front of a JPEG's pixels (ITU-T T.81, B.1 and B.2), told without a kernel."""

from collections.abc import Iterator

Bytes = bytes | memoryview

LONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
NO_FRAME = (0xC4, 0xC8, 0xCC)  # of those between C0 and CF, these tell no size
COSINES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # frames of DCT coefficients; the others are lossless or hierarchical
SCAN = 0xDA


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
        at = at + 2 if kind in LONE else after(jpeg, at)


def frame(jpeg: Bytes) -> tuple[int, int]:
    """Second byte and offset of the marker that begins its frame; zeros where none is found."""
    frames = (it for it in segments(jpeg) if 0xC0 <= it[0] <= 0xCF and it[0] not in NO_FRAME)
    return next(frames, (0, 0))


def components(jpeg: Bytes) -> int:
    """Of its frame: 1 for grey, 3 for colours, 4 for CMYK; 0 where none is told."""
    kind, at = frame(jpeg)
    return jpeg[at + 9] if kind else 0


def is_scalable(jpeg: Bytes) -> bool:
    """Whether decoders can make it smaller by its DCT. Of a lossless picture libjpeg-turbo gives all pixels, also where
    fewer were asked for: more than there is room for."""
    return frame(jpeg)[0] in COSINES


def has_odd_head(jpeg: Bytes) -> bool:
    """Whether a segment may be too short for what it says that it is, or is one of several pictures (CIPA DC-007):
    decoders pass over such ones, and Pillow may refuse the picture for them."""
    return any(0xE0 <= kind <= 0xEF and is_odd(kind, jpeg[at + 4 : after(jpeg, at)]) for kind, at in segments(jpeg))


def is_odd(kind: int, body: Bytes) -> bool:
    """Of an application's segment, by what Pillow takes from it without looking at its length."""
    head, length = bytes(body[:14]), len(body)
    match kind:
        case 0xE0:
            return head[:4] == b"JFIF" and length < 7
        case 0xE2:
            return head[:4] == b"MPF\0" or (head[:12] == b"ICC_PROFILE\0" and length < 14)
        case 0xED:
            return head == b"Photoshop 3.0\0" and bytes(body[-6:-2]) == b"8BIM"
    return kind == 0xEE and head[:5] == b"Adobe" and length < 7


def after(jpeg: Bytes, at: int) -> int:
    """The offset behind a segment that has a length."""
    return at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")


def first_scan(jpeg: Bytes) -> int:
    """Its offset; 0 where none is found."""
    return next((at for kind, at in segments(jpeg) if kind == SCAN), 0)
