import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from tarn.sharding.jpeg.structure import tile
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.formats.baseline import BaselineJpeg
from tarn.training.pixels.pictures import centre_crop, resize_to_cover
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.pixels.turn import AS_IT_IS, turn_of


def turned(orientation: int, kind: str = "JPEG", size: tuple[int, int] = (301, 407)) -> bytes:
    rng = np.random.default_rng(orientation)
    coarse = Image.fromarray(rng.integers(0, 255, (9, 12, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    coarse.save(out, kind, exif=exif)
    return out.getvalue()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_has_the_pixels_of_the_one_that_pillow_turns(orientation: int, interpolation: str) -> None:
    how = Preprocessing(resize=72, crop=64, interpolation=interpolation)
    plain = turned(orientation)
    for data in (plain, tile(plain)[0]):
        with Image.open(io.BytesIO(data)) as image:
            seen = ImageOps.exif_transpose(image)
        theirs = np.asarray(centre_crop(resize_to_cover(seen, 72, 72, interpolation), 64, 64))
        decoder, out = PictureDecoder(), np.empty((64, 64, 3), np.uint8)
        if decoder.native:
            picture = next(decoder.opened(memoryview(data), whole=True))
            assert isinstance(picture, BaselineJpeg)
            assert decoder.centre(picture, out, 72, interpolation, turn_of(data))
        decoder.evaluate(memoryview(data), out, how, upright=True)
        assert np.array_equal(out, theirs)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_other_formats_are_turned_too(kind: str) -> None:
    data, out = turned(6, kind), np.empty((64, 64, 3), np.uint8)
    PictureDecoder().evaluate(memoryview(data), out, Preprocessing(resize=72, crop=64), upright=True)
    with Image.open(io.BytesIO(data)) as image:
        seen = ImageOps.exif_transpose(image)
    assert np.array_equal(out, np.asarray(centre_crop(resize_to_cover(seen, 72, 72, "bilinear"), 64, 64)))


XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta tiff:Orientation="6"/>'


def test_a_jpeg_is_turned_as_xmp_says_and_as_exif_does_that_stands_far_behind() -> None:
    plain, far = turned(1), turned(6)
    profile = b"\xff\xe2\xff\xffICC_PROFILE\0\1\3" + bytes(65519)
    exif = far.index(b"Exif") - 4
    pictures = [
        far[:exif] + 3 * profile + far[exif:],
        plain[:20]
        + b"\xff\xe1"
        + (len(XMP) + 2).to_bytes(2, "big")
        + XMP
        + plain[20:].replace(b"Exif\0\0", b"none\0\0", 1),
    ]
    for data in pictures:
        ours, theirs = np.empty((64, 64, 3), np.uint8), np.empty((64, 64, 3), np.uint8)
        PictureDecoder().evaluate(memoryview(data), ours, Preprocessing(resize=72, crop=64), upright=True)
        with Image.open(io.BytesIO(data)) as image:
            seen = ImageOps.exif_transpose(image)
            assert seen.size == image.size[::-1]
        theirs = np.asarray(centre_crop(resize_to_cover(seen, 72, 72, "bilinear"), 64, 64))
        assert np.array_equal(ours, theirs)


def test_a_picture_is_left_as_it_is_where_it_is_not_asked_for_upright_or_tells_nothing_sensible() -> None:
    how, both = Preprocessing(resize=72, crop=64), np.empty((2, 64, 64, 3), np.uint8)
    PictureDecoder().evaluate(memoryview(turned(6)), both[0], how)
    PictureDecoder().evaluate(memoryview(turned(6)), both[1], how, upright=True)
    assert not np.array_equal(*both)
    assert turn_of(turned(9)) is AS_IT_IS
    assert turn_of(turned(0)) is AS_IT_IS
