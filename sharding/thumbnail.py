"""Pictures made small, to look at."""

import io

from tarn.sharding.pillow import Bytes, decoding, draft, open_picture, upright


def thumbnail(data: Bytes, side: int, quality: int) -> tuple[tuple[int, int], bytes]:
    """Width and height of the picture as it is stored, and a JPEG of it as it is to be seen, its longer side of `side`
    px at most. Raises BrokenPictureError."""
    with open_picture(data) as opened, decoding("damaged pixels"):
        size = opened.size
        draft(opened, "RGB", (2 * side, 2 * side))
        image = upright(opened).convert("RGB")
        image.thumbnail((side, side))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality, comment=b"")  # its own may be too long for a JPEG
    return size, out.getvalue()
