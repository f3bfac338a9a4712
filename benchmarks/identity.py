"""Whether tiling changes pixels, and regions differ from the whole picture: every picture, many random boxes.

    python -m benchmarks.identity DATA [--boxes 20]

Each picture is tiled and decoded before and after, by Pillow. Boxes (random resized crops) are then taken from the
tiled one in two ways, by our region decoder and by Pillow from the JPEG that is cut out, and compared with the same
box of the whole original, bit for bit. Printed: how many differ, the bytes that tiling costs, the time of cutting.
"""

import argparse
import io
import statistics
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.data import prepared
from benchmarks.machine import describe, pin
from benchmarks.report import Bar, keep, show
from benchmarks.resize import draw_box
from tarn.sharding.jpeg.structure import Box, Cutter, Reason, Region, tile
from tarn.training.pixels.jpeg.region import RegionDecoder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--boxes", type=int, default=20, help="of each picture (%(default)s)")
    parser.add_argument("--json", type=Path, default=Path("build/bench/identity.json"), metavar="FILE")
    args = parser.parse_args()
    pin(1)
    files, rng = prepared(args.source).files(), np.random.default_rng(0)
    decoder, cutter = RegionDecoder(), Cutter()
    before = after = changed = untiled = boxes = decoded_whole = 0
    unequal, cuts = {"region decoder": 0, "cut and Pillow": 0}, []
    for path in files:
        data = path.read_bytes()
        tiled, reason = tile(data)
        before, after = before + len(data), after + len(tiled)
        if reason != Reason.OK:
            untiled += 1
            continue
        whole = pixels(data)
        changed += not np.array_equal(whole, pixels(tiled))
        drawn = [draw_box(whole.shape[1], whole.shape[0], rng) for _ in range(args.boxes)]
        cuts += [cutting(tiled, (left, top, left + wide, top + high), cutter) for left, top, wide, high in drawn]
        for left, top, width, height in drawn:
            box = (left, top, left + width, top + height)
            expected, boxes = whole[top : top + height, left : left + width], boxes + 1
            region = cutter.cut(tiled, box)
            decoded_whole += not isinstance(region, Region)
            unequal["cut and Pillow"] += not np.array_equal(of_region(region, tiled, box), expected)
            found = decoder.decode(tiled, box)
            equal = not isinstance(found, int) and np.array_equal(found.pixels, expected)
            unequal["region decoder"] += not equal
    print(
        f"{describe()}: {len(files)} pictures, {untiled} of them not tiled, {boxes} boxes, {decoded_whole} of which "
        f"take all tiles"
    )
    bars = [
        Bar("pictures that tiling changes", changed, "<=", 0),
        *(Bar(f"boxes that differ, {way}", count, "<=", 0) for way, count in unequal.items()),
        Bar("bytes, x original", after / before, "<=", 1.01),
        Bar("cutting, mean", statistics.fmean(cuts) * 1e6, "<=", 20, " us"),
    ]
    show(bars)
    keep(args.json, {"boxes": boxes, "untiled": untiled}, bars)


def cutting(tiled: bytes, box: Box, cutter: Cutter) -> float:
    """Seconds, for bytes that were just read."""
    data = bytearray(tiled)
    started = time.perf_counter()
    cutter.cut(data, box)
    return time.perf_counter() - started


def pixels(data: bytes | memoryview) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def of_region(region: Region | Reason, tiled: bytes, box: Box) -> NDArray[np.uint8]:
    """The box's pixels, from the JPEG that was cut out, or from the whole one where there was nothing to cut off."""
    left, top, right, bottom = box
    if not isinstance(region, Region):
        return pixels(tiled)[top:bottom, left:right]
    x, y = region.left, region.top
    return pixels(region.data)[top - y : bottom - y, left - x : right - x]


if __name__ == "__main__":
    main()
