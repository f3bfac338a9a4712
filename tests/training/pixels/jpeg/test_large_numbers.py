"""Damaged pictures have numbers beyond all that a whole one has, and decoders go on: ours as Pillow's does."""

import io

import numpy as np
import pytest
from PIL import Image

from support.jpegs import pixels, texture
from tarn.training.pixels.jpeg.region import Region, RegionDecoder


def large_steps(quality: int) -> bytes:
    """A grey JPEG of few bits, the blocks of which are mostly flat."""
    out = io.BytesIO()
    Image.fromarray(texture(120, 80)).convert("L").save(out, "JPEG", quality=quality)
    return out.getvalue()


@pytest.mark.parametrize("defines", [(), ("REGION_PORTABLE",)], ids=["vectors", "portable"])
@pytest.mark.parametrize("quality", [1, 4])
def test_a_flipped_bit_has_the_same_pixels(quality: int, defines: tuple[str, ...]) -> None:
    data, decoder = large_steps(quality), RegionDecoder(*defines)
    start, compared, extreme = data.index(b"\xff\xda") + 10, 0, 0
    for at in range(start, len(data) - 2):
        for bit in range(8):
            harmed = bytearray(data)
            harmed[at] ^= 1 << bit
            found = decoder.decode(bytes(harmed), (0, 0, 120, 80))
            if not isinstance(found, Region):
                continue
            try:
                expected = pixels(bytes(harmed))
            except OSError:
                continue
            assert np.array_equal(found.pixels, expected), (at, bit)
            compared += 1
            extreme += bool((expected == 0).mean() > 0.2)
    assert compared > 100
    assert extreme > 10
