"""The region decoder against Pillow, whose libjpeg-turbo decodes all of a picture."""

import ctypes
import io
import mmap
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFile

from support.checkout import REAL_PICTURES
from tarn.sharding.jpeg.structure import Reason, tile
from tarn.training.pixels.jpeg.region import Region, RegionDecoder

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]
SAMPLINGS = ("4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1", "1x4", "grey", "RGB")


def noise(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    coarse = rng.integers(0, 256, (height // 5 + 1, width // 5 + 1, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return Image.fromarray((smooth + rng.integers(-30, 30, smooth.shape)).clip(0, 255).astype(np.uint8))


def encode(image: Image.Image, sampling: str, **options: object) -> bytes:
    """A JPEG; of a kind that Pillow does not write, by telling another sampling of as many blocks to the MCU. Such a
    picture shows something else, of as many MCUs.
    """
    written = {"4:4:0": "4:2:2", "4:1:1": "4:2:0", "1x4": "4:2:0"}.get(sampling, sampling)
    kind = {"grey": {}, "RGB": {"keep_rgb": True}}.get(sampling, {"subsampling": written})
    out = io.BytesIO()
    with patch.object(ImageFile, "MAXBLOCK", 1 << 22):  # Pillow's own guess leaves no room for many markers
        (image.convert("L") if sampling == "grey" else image).save(out, "JPEG", **kind, **options)
    if written == sampling:
        return out.getvalue()
    told, (width, height) = bytearray(out.getvalue()), image.size
    across, down = -(-width // 16), -(-height // (8 if sampling == "4:4:0" else 16))
    frame = told.index(b"\xff\xc0")
    factors, width, height = {
        "4:4:0": (0x12, 8 * across - width % 8, 16 * down - height % 16),
        "4:1:1": (0x41, 32 * across - width % 32, 8 * down - height % 8),
        "1x4": (0x14, 8 * across - width % 8, 32 * down - height % 32),
    }[sampling]
    told[frame + 5 : frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    told[frame + 11] = factors
    return bytes(told)


def by_pillow(data: bytes, scale: int) -> Pixels | None:
    """RGB at scale / 8; None where Pillow would not choose that scale for a picture so small."""
    image = Image.open(io.BytesIO(data))
    if scale < 8:
        image.draft(image.mode, (max(1, image.width * scale // 8), max(1, image.height * scale // 8)))
        if image.decoderconfig != (8 // scale, 0):
            return None
    return np.asarray(image.convert("RGB"))


def check(decoder: RegionDecoder, data: bytes, box: Box, scale: int = 8, whole: Pixels | None = None) -> None:
    whole = by_pillow(data, scale) if whole is None else whole
    if whole is None:
        return
    region = decoder.decode(data, box, scale)
    assert isinstance(region, Region), Reason(region)
    left, top, right, bottom = box
    assert (region.left, region.top) == (left * scale // 8, top * scale // 8)
    inside = whole[region.top : -(-bottom * scale // 8), region.left : -(-right * scale // 8)]
    assert np.array_equal(region.pixels, inside)


@dataclass(frozen=True)
class Case:
    """A picture and a box in it."""

    data: bytes
    box: Box
    scale: int


@st.composite
def cases(draw: st.DrawFn, longest: int) -> Case:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    image = noise(draw(st.integers(1, longest)), draw(st.integers(1, longest)), rng)
    restart = draw(
        st.sampled_from(({}, {"restart_marker_blocks": draw(st.integers(1, 30))}, {"restart_marker_rows": 1}))
    )
    quality, optimize = draw(st.integers(1, 100)), draw(st.booleans())
    data = encode(image, draw(st.sampled_from(SAMPLINGS)), quality=quality, optimize=optimize, **restart)
    if draw(st.booleans()):
        data, _ = tile(data, 24)
    width, height = Image.open(io.BytesIO(data)).size
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    right, bottom = draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))
    return Case(data, (left, top, right, bottom), draw(st.sampled_from((8, 8, 4, 2, 1))))


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(cases(longest=70))
def test_region_of_a_small_picture_is_what_pillow_shows_there(case: Case) -> None:
    check(RegionDecoder(), case.data, case.box, case.scale)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(cases(longest=400))
def test_region_of_a_larger_picture_is_what_pillow_shows_there(case: Case) -> None:
    check(RegionDecoder(), case.data, case.box, case.scale)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(cases(longest=70))
def test_code_without_intrinsics_gives_the_same_pixels(case: Case) -> None:
    check(RegionDecoder("REGION_PORTABLE"), case.data, case.box, case.scale)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_box_of_a_tiny_picture_is_right(sampling: str) -> None:
    data, decoder = encode(noise(19, 18, np.random.default_rng(1)), sampling, restart_marker_blocks=1), RegionDecoder()
    whole = by_pillow(data, 8)
    assert whole is not None
    height, width, _ = whole.shape
    for left in range(0, width, 3):
        for top in range(0, height, 3):
            for right in range(left + 1, width + 1, 2):
                for bottom in range(top + 1, height + 1, 2):
                    check(decoder, data, (left, top, right, bottom), 8, whole)


def test_a_decoder_goes_from_large_pictures_to_small_ones_and_back() -> None:
    rng, decoder = np.random.default_rng(2), RegionDecoder()
    for side in (300, 8, 301, 1, 90, 700, 20):
        for sampling in ("4:2:0", "grey", "4:4:4"):
            check(decoder, encode(noise(side, side, rng), sampling), (0, 0, side, side))


def test_threads_with_decoders_of_their_own_do_not_meet() -> None:
    rng = np.random.default_rng(3)
    pictures = [encode(noise(200 + i, 150, rng), SAMPLINGS[i % 3], restart_marker_blocks=5) for i in range(8)]

    def work(number: int) -> None:
        decoder, chance = RegionDecoder(), random.Random(number)
        for _ in range(40):
            check(decoder, chance.choice(pictures), (chance.randrange(100), 0, 150, 100 + chance.randrange(50)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_what_is_no_baseline_picture_is_left_to_others() -> None:
    image, decoder = noise(50, 40, np.random.default_rng(4)), RegionDecoder()

    def reason(saved: Image.Image, **options: object) -> Region | int:
        out = io.BytesIO()
        saved.save(out, "JPEG", **options)
        return decoder.decode(out.getvalue(), (0, 0, 10, 10))

    assert reason(image, progressive=True) == Reason.PROGRESSIVE
    assert reason(image.convert("CMYK")) == Reason.COMPONENTS
    assert decoder.decode(b"\x89PNG\r\n\x1a\n" + bytes(50), (0, 0, 1, 1)) == Reason.NOT_JPEG
    with pytest.raises(ValueError, match="empty"):
        decoder.decode(b"", (5, 5, 5, 9))
    with pytest.raises(ValueError, match="outside"):
        decoder.decode(encode(image, "4:4:4"), (50, 0, 60, 40))
    with pytest.raises(ValueError, match="scale is 3"):
        decoder.decode(encode(image, "4:4:4"), (0, 0, 9, 9), 3)


def test_too_little_room_is_told_before_anything_is_written() -> None:
    data = np.frombuffer(encode(noise(50, 40, np.random.default_rng(5)), "4:4:4"), np.uint8)
    out = np.full(10 * 10 * 3 - 1, 7, np.uint8)
    assert RegionDecoder().decode_into(data, (0, 0, 10, 10), 8, out)[0] == Reason.TOO_LARGE
    assert (out == 7).all()


def restarts(data: bytes) -> list[int]:
    start = data.index(b"\xff\xda")
    return [i for i in range(start, len(data) - 1) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]


def test_damage_is_told_where_the_box_needs_it_and_harmless_elsewhere() -> None:
    """Tiles of 32 x 8 px, four a row: the tenth ends the second tile of the third row, at px 64."""
    data = encode(noise(128, 64, np.random.default_rng(6)), "4:4:4", restart_marker_blocks=4)
    decoder, whole, marker = RegionDecoder(), by_pillow(data, 8), restarts(data)[9]
    lost = data[:marker] + data[marker + 2 :]
    renumbered = data[: marker + 1] + bytes([data[marker + 1] ^ 3]) + data[marker + 2 :]
    cut = data[:marker]
    for damaged in (lost, renumbered, cut):
        assert decoder.decode(damaged, (0, 0, 128, 64)) == Reason.DAMAGED
        assert decoder.decode(damaged, (70, 30, 80, 40)) == Reason.DAMAGED
        check(decoder, damaged, (0, 0, 128, 16), 8, whole)
    zeroed = data[: marker - 30] + bytes(30) + data[marker:]
    check(decoder, zeroed, (64, 16, 128, 24), 8, whole)
    check(decoder, zeroed, (0, 24, 128, 64), 8, whole)
    emptied = data[: restarts(data)[8] + 2] + data[marker:]
    assert decoder.decode(emptied, (32, 16, 33, 17)) == Reason.DAMAGED


def test_mutants_at_the_end_of_readable_memory_neither_crash_nor_hang() -> None:
    page, chance = mmap.PAGESIZE, random.Random(7)
    memory = np.frombuffer(mmap.mmap(-1, 9 * page), np.uint8)
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(memory.ctypes.data + 8 * page), page, 0) == 0
    rng, decoder, out, told = np.random.default_rng(8), RegionDecoder(), np.empty(100 * 100 * 3, np.uint8), set()
    pictures = [
        encode(noise(90, 70, rng), sampling, **options)
        for sampling in SAMPLINGS
        for options in ({}, {"restart_marker_blocks": 3}, {"restart_marker_rows": 1, "quality": 97})
    ]
    for _ in range(3000):
        data = bytearray(chance.choice(pictures))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data) if chance.random() < 0.6 else 620)] = chance.randrange(256)
        if chance.random() < 0.2:
            del data[chance.randrange(2, len(data)) :]
        place = memory[8 * page - len(data) : 8 * page]
        place[:] = data
        left, top, scale = chance.randrange(60), chance.randrange(40), chance.choice((8, 4, 2, 1))
        told.add(decoder.decode_into(place, (left, top, left + 40, top + 40), scale, out)[0])
    assert {Reason.OK, Reason.DAMAGED, Reason.TABLES} <= told


@pytest.mark.skipif(not REAL_PICTURES.is_dir(), reason="the real photographs are not beside the checkout")
def test_regions_of_real_photographs_tiled_are_what_the_originals_show() -> None:
    chance, decoder = random.Random(9), RegionDecoder()
    for path in chance.sample(sorted(REAL_PICTURES.rglob("*.JPEG")), 60):
        data = path.read_bytes()
        whole = by_pillow(data, 8)
        tiled, _ = tile(data)
        if whole is None or not isinstance(decoder.decode(data, (0, 0, 1, 1)), Region):
            continue
        height, width, _ = whole.shape
        for _ in range(5):
            left, top = chance.randrange(width), chance.randrange(height)
            box = (left, top, chance.randint(left + 1, width), chance.randint(top + 1, height))
            check(decoder, tiled, box, 8, whole)
