"""Lossless JPEGs, of which libjpeg-turbo gives all pixels where it is asked for fewer."""

import io

import numpy as np
import pytest
from PIL import Image

from tarn.sharding.pillow import BrokenPictureError, draft, open_picture
from tarn.sharding.segments import is_scalable
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.formats.turbo import open_jpeg
from tarn.training.pixels.geometry import UNIFORMS, Augmentation
from tarn.training.pixels.preprocessing import Preprocessing
from tests.support.lossless import lossless_jpeg

GREY = np.random.default_rng(0).integers(0, 256, (200, 300), dtype=np.uint8)


@pytest.mark.parametrize("fidelity", ["exact", "default", "fast"])
def test_a_crop_of_a_lossless_jpeg_is_that_of_its_png(fidelity: str) -> None:
    png = io.BytesIO()
    Image.fromarray(GREY).save(png, "PNG")
    data = memoryview(lossless_jpeg(GREY))
    assert open_jpeg(data) is None  # it would write beyond the room for fewer pixels
    decoder, uniforms = PictureDecoder(fidelity), np.full(UNIFORMS, 0.5)
    one, other = (np.zeros((24, 24, 3), np.uint8) for _ in range(2))
    decoder.train(data, one, Augmentation(), uniforms)
    decoder.train(memoryview(png.getvalue()), other, Augmentation(), uniforms)
    assert np.array_equal(one, other)
    assert one.any()


def test_evaluation_refuses_a_lossless_jpeg_that_pillow_does_not_read() -> None:
    data = memoryview(lossless_jpeg(GREY >> 4, bits=4))
    with pytest.raises(BrokenPictureError, match="not a readable picture"):
        PictureDecoder().evaluate(data, np.empty((24, 24, 3), np.uint8), Preprocessing(resize=28, crop=24))


def test_a_lossless_jpeg_has_no_draft_and_another_has() -> None:
    jpeg = io.BytesIO()
    Image.fromarray(GREY).save(jpeg, "JPEG")
    sizes = []
    for data in (lossless_jpeg(GREY), jpeg.getvalue()):
        with open_picture(data) as image:
            draft(image, None, (40, 40))
            image.load()
            sizes.append(image.size)
    assert sizes == [(300, 200), (75, 50)]


def test_a_frame_behind_what_is_no_marker_is_not_relied_on() -> None:
    """Decoders go on at the next marker that they find, be it inside of what would be a segment."""
    hidden = b"\xff\x00\x00\x0b" + lossless_jpeg(GREY)[2:15]
    jpeg = io.BytesIO()
    Image.fromarray(GREY).save(jpeg, "JPEG")
    assert is_scalable(jpeg.getvalue())
    assert not is_scalable(jpeg.getvalue()[:2] + hidden + jpeg.getvalue()[2:])
