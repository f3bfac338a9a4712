"""Where a picture's time goes on one core, without processes or batches: our stages, and others' decoders.

    python -m benchmarks.decode DATA [--pictures 500] [--rounds 5]

Every way handles the same pictures and the same boxes, in turns; microseconds a picture, medians of the rounds.
simplejpeg and OpenCV take part where they are installed.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2

from benchmarks.data import prepared
from benchmarks.machine import describe, pin
from tarn.sharding.jpeg.structure import picture_size, tile
from tarn.training.pixels.decode import PictureDecoder, dct_scale
from tarn.training.pixels.geometry import UNIFORMS, Augmentation, resized_crop_box
from tarn.training.pixels.jpeg.region import RegionDecoder
from tarn.training.pixels.pictures import decode_eval, decode_train
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.pixels.resize.resize import Filter, Resizer
from tarn.training.streaming.randomness import sample_uniforms

SIZE = 224
CROP = Augmentation()
CENTRE = Preprocessing(crop=SIZE)
Way = Callable[[int], object]


class Ways:
    """Each takes a picture's number. pictures: JPEGs as they were; tiled: the same ones, tiled."""

    def __init__(self, pictures: list[bytes]) -> None:
        self.pictures, self.tiled = pictures, [tile(data)[0] for data in pictures]
        self.uniforms = sample_uniforms(3, 0, np.arange(len(pictures)), UNIFORMS)
        self.boxes = [
            resized_crop_box(*picture_size(data), CROP, drawn)
            for data, drawn in zip(pictures, self.uniforms, strict=True)
        ]
        self.out, self.pixels = np.empty((SIZE, SIZE, 3), np.uint8), np.empty(1 << 26, np.uint8)
        self.regions, self.resizer = RegionDecoder(), Resizer()
        self.decoders = {name: PictureDecoder(name) for name in ("default", "fast", "exact")}
        self.crop = v2.RandomResizedCrop(SIZE, antialias=True)  # type: ignore[attr-defined]

    def whole(self, fidelity: str, tiled: bool = True) -> Way:
        pictures, decoder = self.tiled if tiled else self.pictures, self.decoders[fidelity]
        return lambda number: decoder.train(memoryview(pictures[number]), self.out, CROP, self.uniforms[number])

    def box(self, number: int) -> object:
        return resized_crop_box(*picture_size(self.tiled[number]), CROP, self.uniforms[number])

    def region(self, number: int) -> object:
        box = self.boxes[number]
        scale = dct_scale(min(box[2] - box[0], box[3] - box[1]), SIZE)
        return self.regions.decode_into(np.frombuffer(self.tiled[number], np.uint8), box, scale, self.pixels)

    def resize(self, filter: Filter) -> Way:
        """Of pixels of the size that region decoding gives, whatever is in them."""

        def run(number: int) -> None:
            left, top, right, bottom = self.boxes[number]
            part = dct_scale(min(right - left, bottom - top), SIZE) / 8
            width, height = int((right - left) * part), int((bottom - top) * part)
            source = self.pixels[: width * height * 3].reshape(height, width, 3)
            self.resizer.resize(source, (0, 0, width, height), self.out, filter)

        return run

    def evaluation(self, tiled: bool = True) -> Way:
        pictures, decoder = self.tiled if tiled else self.pictures, self.decoders["default"]
        return lambda number: decoder.evaluate(memoryview(pictures[number]), self.out, CENTRE)

    def pillow_evaluation(self, number: int) -> object:
        return decode_eval(memoryview(self.tiled[number]), CENTRE.resize, CENTRE.crop)

    def pillow(self, number: int) -> object:
        return decode_train(memoryview(self.pictures[number]), SIZE, CROP, self.uniforms[number], True)

    def pillow_decode(self, number: int) -> object:
        return Image.open(io.BytesIO(self.pictures[number])).convert("RGB")

    def vision_decode(self, number: int) -> object:
        return decode_jpeg(torch.frombuffer(bytearray(self.pictures[number]), dtype=torch.uint8), ImageReadMode.RGB)

    def vision(self, number: int) -> object:
        return self.crop(self.vision_decode(number))


def simple_ways(ways: Ways) -> dict[str, Way]:
    """Full decode by simplejpeg, and OpenCV's area resizing behind it (FFCV's way), where both are installed."""
    try:
        import cv2
        import simplejpeg
    except ImportError:
        return {}
    cv2.setNumThreads(1)

    def area(number: int) -> None:
        left, top, right, bottom = ways.boxes[number]
        pixels = simplejpeg.decode_jpeg(ways.pictures[number])
        cv2.resize(pixels[top:bottom, left:right], (SIZE, SIZE), dst=ways.out, interpolation=cv2.INTER_AREA)

    decode = lambda number: simplejpeg.decode_jpeg(ways.pictures[number])  # noqa: E731
    return {"simplejpeg, decode only": decode, "simplejpeg, OpenCV area": area}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    pin(1)
    torch.set_num_threads(1)
    files = prepared(args.source).files()
    chosen = files[:: max(1, len(files) // args.pictures)][: args.pictures]
    ways = Ways([path.read_bytes() for path in chosen])
    table: dict[str, Way] = {
        "Tarn default, all": ways.whole("default"),
        "  of it: size and box": ways.box,
        "  of it: region decode": ways.region,
        "  of it: resize, antialias": ways.resize(Filter.ANTIALIAS),
        "Tarn fast, all": ways.whole("fast"),
        "  of it: resize, bilinear": ways.resize(Filter.BILINEAR),
        "Tarn exact, all": ways.whole("exact"),
        "Tarn default, not tiled": ways.whole("default", tiled=False),
        "Tarn evaluation, all": ways.evaluation(),
        "Tarn evaluation, not tiled": ways.evaluation(tiled=False),
        "Pillow, evaluation": ways.pillow_evaluation,
        "Pillow, torchvision's arithmetic": ways.pillow,
        "Pillow, decode only": ways.pillow_decode,
        "torchvision decode_jpeg and v2": ways.vision,
        "torchvision decode_jpeg, decode only": ways.vision_decode,
        **simple_ways(ways),
    }
    print(
        f"{describe()}, {len(chosen)} pictures, {args.rounds} rounds\n\n"
        "| way | us a picture | images/s |\n|---|---:|---:|"
    )
    times: dict[str, list[float]] = {name: [] for name in table}
    for _ in range(args.rounds):
        for name, way in table.items():
            started = time.perf_counter()
            for number in range(len(chosen)):
                way(number)
            times[name].append((time.perf_counter() - started) / len(chosen))
    for name, found in times.items():
        print(f"| {name} | {statistics.median(found) * 1e6:.0f} | {1 / statistics.median(found):.0f} |")


if __name__ == "__main__":
    main()
