"""One loader in a process of its own, pinned to its cores, which runs when it is told: the other side of `rounds.py`.

Kept free of this project's imports, for peers may live in another environment. Speaks JSON lines: first what it is to
be (on the command line), then on standard input the seconds of each turn.
"""

import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import pin

WARM_UP = 0.5  # s of a turn that are not counted: what was made ahead between turns is used up meanwhile


@dataclass(frozen=True, slots=True)
class Task:
    """pictures: a folder for each class. packed: a folder for datasets made of them. size: px of a crop."""

    pictures: str
    packed: str
    cores: int
    batch: int
    size: int = 224


@dataclass(frozen=True, slots=True)
class Contender:
    """batches: `module:function(task, **options)`, sizes of batches without end. needs: modules it imports.

    prepare: `module:function(task)` that makes its own kind of dataset. stored: what its pictures are, in words.
    """

    words: str
    batches: str
    needs: tuple[str, ...]
    stored: str = "as they were"
    prepare: str = ""
    options: tuple[tuple[str, str], ...] = ()


HOOKS = "hook-"  # begins the names of those that augment by torchvision's v2, which hooks.py compares
OURS = ("torch", "tarn.training.streaming")
TORCH = ("torch", "torchvision")
CONTENDERS = {
    "seed": Contender("torchvision ImageFolder, PIL, ToTensor, Normalize (f32)", "benchmarks.peers:seed", TORCH),
    "torchvision-u8": Contender("torchvision decode_jpeg, v2 transforms (u8)", "benchmarks.peers:vision", TORCH),
    "webdataset": Contender(
        "WebDataset, bytes to decode_jpeg, v2 (u8)", "benchmarks.peers:webdataset", (*TORCH, "webdataset")
    ),
    "mosaic": Contender(
        "Mosaic Streaming, bytes to decode_jpeg, v2 (u8)", "benchmarks.peers:mosaic", (*TORCH, "streaming"),
        prepare="benchmarks.peers:mosaic_dataset",
    ),
    "litdata": Contender(
        "LitData, bytes to decode_jpeg, v2 (u8)", "benchmarks.peers:litdata", (*TORCH, "litdata"),
        prepare="benchmarks.peers:litdata_dataset",
    ),
    "spdl": Contender("SPDL, FFmpeg crop and bilinear scale (u8)", "benchmarks.native_peers:spdl", ("spdl", "spdl.io")),
    "dali": Contender("DALI on the CPU, region decode (u8)", "benchmarks.native_peers:dali", ("nvidia.dali",)),
    "ffcv": Contender(
        "FFCV, paper mode: longer side 500, q90, half raw (u8)", "benchmarks.native_peers:ffcv", ("ffcv", "torch"),
        "longer side at most 500, q90 4:2:0 or raw", "benchmarks.native_peers:ffcv_dataset",
    ),
    "tarn": Contender("Tarn, default fidelity (u8)", "benchmarks.ours:tarn", OURS, "tiled, same pixels"),
    "tarn-exact": Contender(
        "Tarn, exact (u8)", "benchmarks.ours:tarn", OURS, "tiled, same pixels", options=(("fidelity", "exact"),)
    ),
    "tarn-fast": Contender(
        "Tarn, fidelity fast (u8)", "benchmarks.ours:tarn", OURS, "tiled, same pixels", options=(("fidelity", "fast"),)
    ),
    "tarn-plain": Contender(
        "Tarn, default fidelity, --no-tile (u8)", "benchmarks.ours:tarn", OURS, options=(("variant", "plain"),)
    ),
    "tarn-small": Contender(
        "Tarn, default fidelity, --max-side 500 --quality 90 (u8)", "benchmarks.ours:tarn", OURS,
        "longer side at most 500, q90, tiled", options=(("variant", "small"),),
    ),
    **{
        f"{HOOKS}{who}-{what}": Contender(
            f"{words}, then {what}", f"benchmarks.augmented:{who}", (*TORCH, *OURS[1:]), stored,
            options=(("what", what),),
        )
        for what in ("flip", "jitter", "randaugment")
        for who, words, stored in (
            ("folder", "ImageFolder, PIL, v2's RandomResizedCrop (u8)", "as they were"),
            ("tarn", "Tarn's crop, v2 in the picture's hook (u8)", "tiled, same pixels"),
        )
    },
}  # fmt: skip


def function(named: str) -> Callable[..., Any]:
    module, _, name = named.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


def turn(batches: Iterator[int], seconds: float) -> dict[str, float]:
    """Images/s over whole batches, from the end of one to the end of another."""
    started = time.perf_counter()
    while time.perf_counter() - started < WARM_UP:
        next(batches)
    images, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        images += next(batches)
    return {"rate": images / (time.perf_counter() - started)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")  # libraries write to standard output too
    os.dup2(2, 1)
    told = json.loads(sys.argv[1])
    contender, task = CONTENDERS[told["name"]], Task(**told["task"])
    if contender.prepare and told.get("prepare"):
        function(contender.prepare)(task)
        return
    pin(task.cores)
    for module in contender.needs:
        importlib.import_module(module)
    make = function(contender.batches)
    started = time.perf_counter()
    batches = make(task, **dict(contender.options))
    next(batches)
    answer = {"first": time.perf_counter() - started}
    while True:
        print(json.dumps(answer), file=answers, flush=True)
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        answer = turn(batches, float(line))


if __name__ == "__main__":
    main()
