"""What is too large or too long a picture."""

import io
import struct
import warnings

from PIL import Image

from tarn.inference.limits import frames_of
from tarn.sharding.pillow import open_picture


def test_pages_are_counted_without_a_warning_of_what_stands_in_them() -> None:
    out, page = io.BytesIO(), Image.new("L", (8, 8))
    page.save(out, "TIFF", save_all=True, append_images=[page], tiffinfo={270: "a description that lies elsewhere"})
    data = bytearray(out.getvalue())
    last = data.rindex(struct.pack("<HH", 270, 2))  # the second page's description is to be longer than the file
    data[last + 4 : last + 8] = struct.pack("<I", 2**20)
    with warnings.catch_warnings(record=True) as told, open_picture(bytes(data)) as image:
        warnings.simplefilter("always")
        assert frames_of(image) == 2
    assert told == []
