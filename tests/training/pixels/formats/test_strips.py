"""Pictures of one narrow side: of what they grow to, only the middle is made."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from support.jpegs import by_pillow, jpeg, pixels, texture
from tarn.training.pixels import pictures
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.pictures import centre_crop, decode_eval, resize_to_cover
from tarn.training.pixels.preprocessing import Preprocessing

PEAK = """
import re, sys
import numpy as np
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.geometry import UNIFORMS, Augmentation
from tarn.training.pixels.preprocessing import Preprocessing
out, decoder = np.empty((224, 224, 3), np.uint8), PictureDecoder()
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        data = memoryview(file.read())
    decoder.evaluate(data, out, Preprocessing())
    for crop in ("resized", "padded", "centre"):
        decoder.train(data, out, Augmentation(crop=crop), np.full(UNIFORMS, 0.5))
with open("/proc/self/status") as file:  # rusage would count what the process that started this one has had
    print(int(re.search(r"VmHWM:\\s+(\\d+)", file.read())[1]) >> 10)
"""


@pytest.mark.parametrize("size", [(2, 12_000), (12_000, 2)], ids=["tall", "wide"])
def test_a_strip_takes_little_memory(size: tuple[int, int], tmp_path) -> None:  # type: ignore[no-untyped-def]
    made = {
        "baseline.jpg": jpeg(*size),
        "progressive.jpg": by_pillow(*size, progressive=True),
        "strip.png": by_pillow(*size, kind="PNG"),
        "strip.webp": by_pillow(*size, kind="WEBP"),
        "strip.gif": by_pillow(*size, "P", "GIF"),
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in made]
    done = subprocess.run([sys.executable, "-c", PEAK, *paths], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300  # MiB


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(2, 3000), (3000, 2), (5, 6000)])
def test_a_strip_has_the_pixels_of_the_whole_one_resized(size: tuple[int, int], interpolation: str) -> None:
    for data in (jpeg(*size), by_pillow(*size, kind="PNG"), by_pillow(*size, "L", "GIF")):
        whole = Image.fromarray(pixels(data))
        theirs = np.asarray(centre_crop(resize_to_cover(whole, 72, 72, interpolation), 64, 64))
        out = np.empty((64, 64, 3), np.uint8)
        PictureDecoder().evaluate(memoryview(data), out, Preprocessing(resize=72, crop=64, interpolation=interpolation))
        assert np.array_equal(out, theirs)


@pytest.mark.parametrize("size", [(2, 3000), (3000, 2), (3, 4001)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_where_nothing_compiles_a_strip_is_cut_too_and_within_a_level(
    size: tuple[int, int], interpolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = by_pillow(*size, kind="PNG")
    whole = np.asarray(centre_crop(resize_to_cover(Image.fromarray(texture(*size)), 72, 72, interpolation), 64, 64))
    monkeypatch.setattr(pictures, "MOST_RESIZED", 1000)
    assert np.abs(decode_eval(data, 72, 64, interpolation).astype(int) - whole).max() <= 1
