"""Pictures made small, to look at."""

import io

import pytest
from PIL import Image

from tarn.sharding.pillow import BrokenPictureError
from tarn.sharding.thumbnail import thumbnail


def saved(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("P" if kind == "GIF" else "RGB", (400, 300)).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        saved("GIF", comment=b"words" * 20_000),
        saved("JPEG", exif=b"Exif\0\0nothing that anybody reads"),
        saved("PNG", exif=b"MM\0*\0\0"),
    ],
    ids=["a long comment", "broken Exif of a JPEG", "broken Exif of a PNG"],
)
def test_metadata_harm_no_thumbnail(data: bytes) -> None:
    size, small = thumbnail(data, 128, 80)
    assert size == (400, 300)
    assert Image.open(io.BytesIO(small)).size == (128, 96)


def test_a_thumbnail_is_upright_and_what_is_broken_has_none() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    size, small = thumbnail(saved("JPEG", exif=exif.tobytes()), 128, 80)
    assert size == (400, 300)
    assert Image.open(io.BytesIO(small)).size == (96, 128)
    with pytest.raises(BrokenPictureError):
        thumbnail(saved("PNG")[:60], 128, 80)
