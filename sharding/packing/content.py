"""What a picture is by its bytes, where its name says something else or training should know: ImageNet-1k holds a PNG
named .JPEG, and 22 pictures in CMYK."""

from tarn.sharding.packing.inspection import ending
from tarn.sharding.segments import components

USUAL = {".jpg": "jpg", ".jpeg": "jpg", ".jpe": "jpg", ".jfif": "jpg", ".mpo": "jpg", ".tiff": "tif"}
WORDS = {
    **{"jpg": "JPEG", "png": "PNG", "webp": "WebP", "gif": "GIF", "bmp": "BMP", "tif": "TIFF", "avif": "AVIF"},
    **{"jp2": "JPEG 2000", "j2k": "JPEG 2000 codestream"},
}
NAMES = USUAL | {f".{kind}": kind for kind in WORDS}
CMYK = "CMYK"


def oddity(data: bytes, suffix: str) -> str | None:
    """`PNG named .JPEG`, `CMYK`; None for what nobody has to know. suffix: of its name, with the dot."""
    told, found = NAMES.get(suffix.lower()), ending(data, "")
    if suffix and found != told and (found or told):
        return f"{WORDS.get(found, 'no JPEG, PNG or WebP')} named {suffix}"
    return CMYK if found == "jpg" and components(data) == 4 else None
