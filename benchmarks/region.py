"""Milliseconds to decode JPEGs, whole and only a random crop: our region decoder and libjpeg-turbo, on one core.

    taskset -c 0 python -m benchmarks.region --pictures path/to/imagenet-sample [--count 300] [--rounds 5]

Crops are drawn as by torchvision's RandomResizedCrop (0.08 to 1 of the area); ours decodes them from the picture tiled
as `pack` does it, libjpeg-turbo (simplejpeg, which must be installed) from the region cut out of the same tiles. All
decode one picture before any takes the next. Printed: the mean over pictures of each one's median over the rounds.
Before that, every crop is compared with that of the whole picture by libjpeg-turbo.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from benchmarks.resize import draw_box
from tarn.sharding.jpeg.structure import Cutter, Region, tile
from tarn.training.pixels.jpeg.region import RegionDecoder

Pixels = NDArray[np.uint8]


class Task(NamedTuple):
    original: bytes
    tiled: bytes
    whole: tuple[int, int, int, int]
    crop: tuple[int, int, int, int]


def tasks(folder: Path, decoder: RegionDecoder, room: Pixels, seed: int) -> Iterator[Task]:
    """Pictures that the region decoder takes."""
    rng = np.random.default_rng(seed)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in (".jpg", ".jpeg"):
            continue
        data = path.read_bytes()
        height, width = simplejpeg.decode_jpeg_header(data)[:2]
        left, top, across, down = draw_box(width, height, rng)
        task = Task(data, tile(data)[0], (0, 0, width, height), (left, top, left + across, top + down))
        if 3 * width * height > room.nbytes or decoder.decode_into(array(data), task.whole, 8, room)[0] != 0:
            continue
        check(task, decoder, room)
        yield task


def array(data: bytes) -> Pixels:
    return np.frombuffer(data, np.uint8)


def check(task: Task, decoder: RegionDecoder, room: Pixels) -> None:
    left, top, right, bottom = task.crop
    decoder.decode_into(array(task.tiled), task.crop, 8, room)
    ours = room[: 3 * (right - left) * (bottom - top)].reshape(bottom - top, right - left, 3)
    whole = simplejpeg.decode_jpeg(task.original, "RGB")
    assert np.array_equal(ours, whole[top:bottom, left:right]), "another decoder's pixels differ"


def ways(task: Task, decoder: RegionDecoder, cutter: Cutter, room: Pixels) -> dict[str, Callable[[], object]]:
    original, tiled = array(task.original), array(task.tiled)

    def cut_and_decode() -> object:
        region = cutter.cut(task.tiled, task.crop)
        return simplejpeg.decode_jpeg(region.data if isinstance(region, Region) else task.original, "RGB", buffer=room)

    return {
        "whole, libjpeg-turbo": lambda: simplejpeg.decode_jpeg(task.original, "RGB", buffer=room),
        "whole, ours": lambda: decoder.decode_into(original, task.whole, 8, room),
        "whole, ours, tiled": lambda: decoder.decode_into(tiled, task.whole, 8, room),
        "crop, cut + libjpeg-turbo": cut_and_decode,
        "crop, ours": lambda: decoder.decode_into(tiled, task.crop, 8, room),
        "crop at 4/8, ours": lambda: decoder.decode_into(tiled, task.crop, 4, room),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    decoder, cutter, room = RegionDecoder(), Cutter(), np.empty(3 * 2_000_000, np.uint8)
    drawn = list(itertools.islice(tasks(args.pictures, decoder, room, args.seed), args.count))
    times: dict[str, list[list[float]]] = {}
    for _ in range(args.rounds):
        for number, task in enumerate(drawn):
            for name, run in ways(task, decoder, cutter, room).items():
                started = time.perf_counter()
                run()
                rows = times.setdefault(name, [[] for _ in drawn])
                rows[number].append(time.perf_counter() - started)
    size = np.mean([len(task.original) for task in drawn]) / 1000
    area = np.mean([task.whole[2] * task.whole[3] for task in drawn]) / 1e6
    print(f"{len(drawn)} pictures, mean {size:.0f} kB, {area:.2f} MP; every crop equal to libjpeg-turbo's")
    for name, rows in times.items():
        print(f"{name:26s} {1000 * np.mean([np.median(row) for row in rows]):.3f} ms")


if __name__ == "__main__":
    main()
