"""Images a second of one core, of one network in every format that Tarn exports and in plain PyTorch's ways.

    taskset -c 0 python -m benchmarks.formats [--arch resnet50] [--side 224] [--batch 32] [--rounds 5]

Random weights: the rate does not depend on them. int8 is calibrated on noise. Contenders take turns in one process,
batch by batch, every other round the other way about; all take B x side x side x 3 uint8 and give float32 logits.
Printed: median images/s, the ratio to torch float32 (median over the rounds), and the size of the file. Seconds are the
process's processor time, on one thread: of other programs on the core only what they do to its caches is seen.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import describe
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.export.artifact import Artifact
from tarn.training.export.formats import FORMATS
from tarn.training.export.onnx_session import OnnxSession
from tarn.training.export.openvino_session import OpenvinoSession
from tarn.training.export.writing import Writing
from tarn.training.model.network import Network
from tarn.training.pixels.normalisation import Normalisation
from tarn.training.pixels.preprocessing import Preprocessing

Pixels = NDArray[np.uint8]
Way = Callable[[Pixels], object]
BASE = "torch float32"


def torch_way(artifact: Artifact, channels_last: bool, autocast: bool = False, dtype: torch.dtype | None = None) -> Way:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    how = artifact.preprocessing
    normalisation = Normalisation(how.mean, how.std, channels_last, dtype)
    model = artifact.build().to(dtype=dtype, memory_format=layout)  # type: ignore[call-overload]

    @torch.inference_mode()
    def way(pixels: Pixels) -> object:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return model(normalisation(torch.from_numpy(pixels))).float().numpy()

    return way


def ways(artifact: Artifact, folder: Path, noise: Pixels) -> dict[str, tuple[Way, int]]:
    """By name: what takes pixels, and the bytes of its file."""
    found: dict[str, tuple[Way, int]] = {}
    plain = folder / "model.pt"
    writing = Writing(artifact, folder, noise)
    writing.write(FORMATS["pt"], plain)
    size = plain.stat().st_size
    found[BASE] = torch_way(artifact, channels_last=False), size
    found["torch float32, channels last"] = torch_way(artifact, channels_last=True), size
    found["torch bf16, autocast"] = torch_way(artifact, channels_last=True, autocast=True), size
    found["torch bf16"] = torch_way(artifact, channels_last=True, dtype=torch.bfloat16), size
    for name in ("onnx", "openvino-bf16", "openvino-int8"):
        path = folder / FORMATS[name].file
        writing.write(FORMATS[name], path)
        session = OnnxSession if name == "onnx" else OpenvinoSession
        found[name] = session(path, threads=1).logits, path.stat().st_size
    return found


def rates(found: dict[str, tuple[Way, int]], pixels: Pixels, rounds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in found}
    for number in range(-1, rounds):  # the first is no measurement
        order = list(found.items())
        for name, (way, _) in order if number % 2 else reversed(order):
            begin = time.process_time()
            way(pixels)
            if number >= 0:
                taken[name].append(len(pixels) / (time.process_time() - begin))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    artifact = Artifact(
        arch=args.arch,
        small_stem=False,
        classes=tuple(ClassInfo(f"n{label}", f"class {label}") for label in range(1000)),
        preprocessing=Preprocessing(resize=args.side * 8 // 7, crop=args.side),
        provenance={},
        state_dict=Network(arch=args.arch, num_classes=1000, side=args.side).build(seed=0).state_dict(),
    )
    pixels = rng.integers(0, 256, (args.batch, args.side, args.side, 3), np.uint8)
    print(f"{args.arch}, {args.side} px, batch {args.batch}; {describe()}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        found = ways(artifact, Path(folder), pixels)
        taken = rates(found, pixels, args.rounds)
    for name, told in taken.items():
        ratio = statistics.median(mine / base for mine, base in zip(told, taken[BASE], strict=True))
        size = found[name][1] / 1e6
        print(f"{name:30} {statistics.median(told):7.1f} images/s  {ratio:5.2f} x  {size:6.1f} MB")


if __name__ == "__main__":
    main()
