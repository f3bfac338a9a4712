"""What stands in front of a JPEG's pixels: packing takes what Pillow opens, and calls it what it is."""

import io
import struct

import pytest
from PIL import Image

from support.jpegs import jpeg
from tarn.sharding.packing.content import oddity
from tarn.sharding.packing.preparation import DamagedError, Preparation, prepare
from tarn.sharding.segments import has_odd_head
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import File

PICTURE = Picture("key", File("some/", "picture"), 0, 0)
WAYS = {"tiled": Preparation(), "as it is": Preparation(tile=0), "normalised": Preparation(normalise=True)}
SHORT = {
    0xE0: [b"JFIF\0", b"JFIF\0\1", b"JFIF\0\1\2"],
    0xE1: [
        b"Exif\0\0",
        b"http://ns.adobe.com/xap/1.0/\0",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x1a\x01\5\0\1\0\0\0\xff\0\0\0",
    ],
    0xE2: [b"ICC_PROFILE\0", b"ICC_PROFILE\0\1", b"ICC_PROFILE\0\1\1", b"MPF\0", b"MPF\0MM\0*\0\0\0\x08\0\0"],
    0xED: [b"Photoshop 3.0\0", b"Photoshop 3.0\x008BIM", b"Photoshop 3.0\x008BIM\4\4", b"Photoshop 3.0\x008BIM\4\4\0"],
    0xEE: [b"Adobe", b"Adobe\0", b"Adobe\0\x64"],
}


def with_segment(marker: int, body: bytes) -> bytes:
    data = jpeg(200, 150)
    return data[:2] + struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body + data[2:]


def opens(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).close()
    except Exception:
        return False
    return True


@pytest.mark.filterwarnings("ignore")  # Pillow's
@pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("marker", "body"), [(marker, body) for marker in SHORT for body in SHORT[marker]])
def test_a_segment_too_short_for_its_name_passes_where_pillow_opens_the_picture(
    marker: int, body: bytes, how: Preparation
) -> None:
    data = with_segment(marker, body)
    if opens(data):
        assert prepare(data, PICTURE, how).left is None or not how.tile
    else:
        assert has_odd_head(data)
        with pytest.raises(DamagedError, match=r"^not a readable picture \(it begins as \.jpg does"):
            prepare(data, PICTURE, how)


def test_usual_heads_are_not_opened_twice() -> None:
    assert not has_odd_head(jpeg(200, 150))
    assert not has_odd_head(with_segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(500)))
    assert not has_odd_head(with_segment(0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\0"))


def test_a_jpeg_with_junk_in_its_head_is_told_as_a_damaged_one() -> None:
    data = jpeg(200, 150)
    data = data[:20] + b"\0\0" + data[20:]  # behind JFIF
    assert opens(data)
    assert prepare(data, PICTURE, Preparation()).left == "damaged, or coded against the standard"
    assert prepare(data, PICTURE, Preparation(normalise=True)).normalised == "damaged, or coded against the standard"


def test_a_bigtiff_is_a_tiff() -> None:
    out = io.BytesIO()
    Image.new("L", (20, 10)).save(out, "TIFF", big_tiff=True)
    assert oddity(out.getvalue(), ".tif") is None
    assert oddity(out.getvalue(), ".jpg") == "TIFF named .jpg"
    assert oddity(b"P6 1 1 255\n...", ".tif") == "another format named .tif"
