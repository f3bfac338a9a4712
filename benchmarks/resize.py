"""Milliseconds that resizing the same random crops to 224 px takes: ours and those of other libraries, on one core.

    taskset -c 0 python -m benchmarks.resize [--pictures FOLDER] [--count 100] [--rounds 5]

Crops are drawn as by torchvision's RandomResizedCrop (0.08 to 1 of the area), from a folder's pictures or from noise of
500 x 375 px; they are given as views of the decoded picture. All resize one crop, in a random order, before any takes
the next. Printed: mean, median and 95th percentile over the crops, of medians over the rounds. OpenCV counts where it
is installed.
"""

import argparse
import importlib
import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms.v2 import functional

from tarn.training.pixels.resize.resize import Filter, Resizer

Pixels = NDArray[np.uint8]
Resize = Callable[[Pixels, tuple[int, int, int, int]], object]
SIDE = 224


def load_pictures(folder: Path | None, count: int, rng: np.random.Generator) -> list[Pixels]:
    if folder is None:
        return [rng.integers(0, 256, (375, 500, 3), dtype=np.uint8)] * count
    found = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg"))
    paths = itertools.islice(found, count)
    return [np.array(Image.open(path).convert("RGB")) for path in paths]


def draw_box(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """left, top, width, height."""
    for _ in range(10):
        area = width * height * rng.uniform(0.08, 1)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1)), w, h
    return 0, 0, width, height


def our_ways(target: Pixels) -> dict[str, Resize]:
    resizer = Resizer()

    def way(kind: Filter) -> Resize:
        return lambda pixels, box: resizer.resize(pixels, box, target, kind)

    kinds = (Filter.ANTIALIAS, Filter.EXACT, Filter.BILINEAR, Filter.BICUBIC)
    return {f"ours, {kind.name.lower()}": way(kind) for kind in kinds}


def other_ways(target: Pixels) -> dict[str, Resize]:
    def pillow(how: Image.Resampling) -> Resize:
        def resize(pixels: Pixels, box: tuple[int, int, int, int]) -> object:
            left, top, w, h = box
            return images[id(pixels)].resize((SIDE, SIDE), how, box=(left, top, left + w, top + h))

        return resize

    def torchvision(pixels: Pixels, box: tuple[int, int, int, int]) -> object:
        left, top, w, h = box
        crop = torch.from_numpy(pixels[top : top + h, left : left + w]).permute(2, 0, 1)
        return functional.resize(crop, [SIDE, SIDE], antialias=True)  # type: ignore[attr-defined]

    images: dict[int, Image.Image] = PILLOW_IMAGES
    ways: dict[str, Resize] = {
        "Pillow": pillow(Image.Resampling.BILINEAR),
        "Pillow, bicubic": pillow(Image.Resampling.BICUBIC),
        "torchvision v2, antialias": torchvision,
    }
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        return ways
    cv2.setNumThreads(1)

    def opencv(how: int) -> Resize:
        def resize(pixels: Pixels, box: tuple[int, int, int, int]) -> object:
            left, top, w, h = box
            return cv2.resize(pixels[top : top + h, left : left + w], (SIDE, SIDE), target, interpolation=how)

        return resize

    return ways | {"OpenCV, area": opencv(cv2.INTER_AREA), "OpenCV, linear": opencv(cv2.INTER_LINEAR)}


PILLOW_IMAGES: dict[int, Image.Image] = {}


def measure(
    ways: dict[str, Resize], pictures: list[Pixels], boxes: list[tuple[int, int, int, int]], rounds: int
) -> None:
    rng = np.random.default_rng(0)
    taken = np.empty((rounds, len(pictures), len(ways)))
    for turn, (number, pixels) in itertools.product(range(rounds), enumerate(pictures)):
        for column in rng.permutation(len(ways)):  # who comes first has least of the picture in the cache
            way = list(ways.values())[column]
            begin = time.perf_counter()
            way(pixels, boxes[number])
            taken[turn, number, column] = time.perf_counter() - begin
    each = np.median(taken, axis=0) * 1e3
    for name, column in zip(ways, each.T, strict=True):
        middle, high = np.quantile(column, (0.5, 0.95))
        print(f"{name:28} {column.mean():.3f} ms, median {middle:.3f}, 95 % below {high:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    pictures = load_pictures(args.pictures, args.count, rng)
    boxes = [draw_box(pixels.shape[1], pixels.shape[0], rng) for pixels in pictures]
    PILLOW_IMAGES.update({id(pixels): Image.fromarray(pixels) for pixels in pictures})
    target = np.empty((SIDE, SIDE, 3), np.uint8)
    measure(our_ways(target) | other_ways(target), pictures, boxes, args.rounds)


if __name__ == "__main__":
    main()
