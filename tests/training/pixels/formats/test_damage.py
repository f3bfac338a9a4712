"""Pictures that are not whole, by the ways that do not read all of one: Pillow judges them."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from support.jpegs import by_pillow, pixels, texture
from support.pictures import chunk, every_kind, filtered
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.formats.pillow_picture import PillowPicture
from tarn.training.pixels.formats.ways import ways
from tarn.training.pixels.geometry import UNIFORMS, Augmentation
from tarn.training.pixels.pictures import BrokenPictureError, decode_eval
from tarn.training.pixels.preprocessing import Preprocessing

HOW = Preprocessing(resize=72, crop=64)


def attempt(data: bytes) -> None:
    """Both ways of use; raises BrokenPictureError where both do."""
    decoder, out = PictureDecoder(), np.empty((64, 64, 3), np.uint8)
    with pytest.raises(BrokenPictureError):
        decoder.train(memoryview(data), out, Augmentation(scale=(1, 1)), np.full(UNIFORMS, 0.5))
    decoder.evaluate(memoryview(data), out, HOW)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.97])
def test_what_was_cut_off_is_broken_in_every_format(part: float) -> None:
    for name, data in every_kind(211, 157).items():
        if not name.startswith("GIF"):  # whose last bytes hold no px
            with pytest.raises(BrokenPictureError):
                attempt(data[: int(len(data) * part)])


@pytest.mark.parametrize(
    "data",
    [filtered(90, 70, 2, bytes([2, 5])), b"\x89PNG\r\n\x1a\n" + b"\0" * 90],
    ids=["an unknown filter", "no chunks"],
)
def test_a_png_against_the_format_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenPictureError):
        attempt(data)


@pytest.mark.parametrize("name", ["progressive", "PNG 6", "PNG palette", "WebP", "WebP lossless", "CMYK"])
def test_damaged_bytes_end_in_pixels_or_in_a_broken_picture(name: str) -> None:
    data = every_kind(90, 70)[name]
    decoder, rng = PictureDecoder(), np.random.default_rng(0)
    out = np.empty((64, 64, 3), np.uint8)
    for _ in range(60):
        harmed = bytearray(data)
        for at in rng.integers(len(data) // 8, len(data), 3):
            harmed[at] ^= int(rng.integers(1, 256))
        try:
            decoder.evaluate(memoryview(harmed), out, HOW)
        except BrokenPictureError:
            continue
        decoder.train(memoryview(harmed), out, Augmentation(), rng.random(UNIFORMS))


def test_a_jpeg_that_libjpeg_warns_about_is_left_to_pillow_and_its_pixels() -> None:
    data = by_pillow(211, 157, progressive=True)
    harmed = data[: len(data) * 3 // 4] + b"\xff\xd9"
    out = np.empty((64, 64, 3), np.uint8)
    PictureDecoder().evaluate(memoryview(harmed), out, HOW)
    assert np.array_equal(out, decode_eval(harmed, 72, 64))


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_animated_pictures_are_left_to_pillow_and_are_their_first_frame(kind: str) -> None:
    frames = [Image.fromarray(texture(90, 70, seed)) for seed in range(3)]
    out, ours = io.BytesIO(), np.empty((64, 64, 3), np.uint8)
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], lossless=True)
    data = out.getvalue()
    assert [type(it) for it in ways(memoryview(data), PictureDecoder().baseline, whole=True)] == [PillowPicture]
    PictureDecoder().evaluate(memoryview(data), ours, Preprocessing(resize=70, crop=64))
    assert np.array_equal(ours, texture(90, 70)[3:67, 13:77])


def test_interlaced_pngs_are_left_to_pillow() -> None:
    data = filtered(90, 70, 2, b"\0")
    interlaced = data[:8] + chunk(b"IHDR", data[16:28] + b"\1") + data[33:]
    ours = [type(it) for it in ways(memoryview(interlaced), PictureDecoder().baseline, whole=True)]
    assert ours == [PillowPicture]


def with_palette(body: bytes, behind: bytes = b"") -> bytes:
    """A PNG of 90 x 70 px and 256 colours whose PLTE holds something else, or comes behind the px."""
    data = every_kind(90, 70)["PNG palette"]
    at = data.index(b"PLTE") - 4
    end = at + 12 + int.from_bytes(data[at : at + 4])
    told = chunk(b"PLTE", body) if body else b""
    return data[:at] + told + data[end:-12] + behind + data[-12:]


@pytest.mark.parametrize("behind", [b"", chunk(b"PLTE", bytes(range(255)))], ids=["none", "behind the px"])
def test_a_palette_that_is_not_there_is_not_taken_for_grey(behind: bytes) -> None:
    data, ours = with_palette(b"", behind), np.empty((64, 64, 3), np.uint8)
    PictureDecoder().evaluate(memoryview(data), ours, HOW)
    assert np.array_equal(ours, decode_eval(data, 72, 64))
    PictureDecoder("exact").train(memoryview(data), ours, Augmentation(scale=(1, 1)), np.full(UNIFORMS, 0.5))
    assert ours.max() == pixels(data).max()


def test_a_palette_of_more_colours_than_256_is_broken() -> None:
    data = with_palette(bytes(257 * 3))
    with pytest.raises(BrokenPictureError):
        attempt(data)
    with pytest.raises(BrokenPictureError):
        PictureDecoder().evaluate(memoryview(data), np.empty((64, 64, 3), np.uint8), HOW)


def test_a_png_is_interlaced_where_the_head_says_so_that_pillow_goes_by() -> None:
    data = filtered(90, 70, 2, b"\0")
    two = data[:33] + chunk(b"IHDR", data[16:28] + b"\1") + data[33:]
    with pytest.raises(BrokenPictureError):  # whose rows are others
        PictureDecoder().evaluate(memoryview(two), np.empty((64, 64, 3), np.uint8), HOW)


@pytest.mark.parametrize("bits", [2, 5, 7, 12, 16])
def test_a_jpeg_of_other_than_8_bits_is_broken(bits: int) -> None:
    table, frame = b"\0\1" + bytes(15) + b"\0", struct.pack(">BHHB", bits, 64, 64, 1) + b"\1\x11\0"
    lossless = [(0xC4, table), (0xC3, frame), (0xDA, b"\1\1\0\1\0\0")]  # T.81, H: every px is as the one before
    head = b"".join(b"\xff" + struct.pack(">BH", marker, 2 + len(body)) + body for marker, body in lossless)
    data = b"\xff\xd8" + head + bytes(64 * 64 // 8) + b"\xff\xd9"
    with pytest.raises(BrokenPictureError):
        PictureDecoder().evaluate(memoryview(data), np.empty((64, 64, 3), np.uint8), HOW)
    eight = data.replace(frame, b"\x08" + frame[1:])
    PictureDecoder().evaluate(memoryview(eight), np.empty((64, 64, 3), np.uint8), HOW)


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_whose_end_was_filled_up_with_zeros_is_not_evaluated(lossless: bool) -> None:
    data = by_pillow(90, 70, kind="WEBP", lossless=lossless, exif=b"Exif\0\0MM\0*\0\0\0\x08" + bytes(6))
    out = np.empty((64, 64, 3), np.uint8)
    PictureDecoder().evaluate(memoryview(data), out, HOW)
    for kept in (len(data) - 20, len(data) * 9 // 10):
        with pytest.raises(BrokenPictureError):
            PictureDecoder().evaluate(memoryview(data[:kept] + bytes(len(data) - kept)), out, HOW)
