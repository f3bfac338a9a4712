"""What a picture is by its bytes, where its name says something else or training should know: ImageNet-1k holds a PNG
named .JPEG, and 22 pictures in CMYK."""

from tarn.sharding.packing.inspection import ending, is_jpeg

NAMES = {".jpg": "jpg", ".jpeg": "jpg", ".jpe": "jpg", ".jfif": "jpg", ".mpo": "jpg", ".png": "png", ".webp": "webp"}
WORDS = {"jpg": "JPEG", "png": "PNG", "webp": "WebP"}
CMYK = "CMYK"
LONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
NO_FRAME = (0xC4, 0xC8, 0xCC)  # of those between C0 and CF, these tell no size
SCAN = 0xDA


def oddity(data: bytes, suffix: str) -> str | None:
    """`PNG named .JPEG`, `CMYK`; None for what nobody has to know. suffix: of its name, with the dot."""
    told, found = NAMES.get(suffix.lower()), ending(data, "")
    if suffix and found != told and (found or told):
        return f"{WORDS.get(found, 'no JPEG, PNG or WebP')} named {suffix}"
    return CMYK if found == "jpg" and components(data) == 4 else None


def components(jpeg: bytes) -> int:
    """Of its frame: 1 for grey, 3 for colours, 4 for CMYK; 0 where none is told (ITU-T T.81, B.1 and B.2.2)."""
    assert is_jpeg(jpeg)
    at = 2
    while at + 10 <= len(jpeg) and jpeg[at] == 0xFF:
        kind = jpeg[at + 1]
        if kind == 0xFF:  # padding
            at += 1
        elif kind in LONE:
            at += 2
        elif 0xC0 <= kind <= 0xCF and kind not in NO_FRAME:
            return jpeg[at + 9]
        elif kind == SCAN:
            break
        else:
            at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return 0
