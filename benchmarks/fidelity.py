"""How near our training crops come to torchvision's RandomResizedCrop(antialias=True), on the same boxes.

    python -m benchmarks.fidelity DATA [--crops 2000] [--interpolation bicubic]

Reference: the original picture decoded by Pillow, torchvision's resized_crop with antialiasing, bilinear unless told
otherwise. Ours: from the tiled shards, as a worker makes them. PSNR in dB; crops that are identical count apart, and
not in the mean.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as vision

from benchmarks.data import prepared
from benchmarks.report import Bar, keep, show
from tarn.sharding.jpeg.structure import tile
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.fidelity import FIDELITIES
from tarn.training.pixels.geometry import UNIFORMS, Augmentation, resized_crop_box
from tarn.training.pixels.preprocessing import INTERPOLATIONS
from tarn.training.streaming.randomness import sample_uniforms

SIZE = 224
STRAIGHT = Augmentation(flip=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--crops", type=int, default=1000)
    parser.add_argument("--interpolation", default="bilinear", choices=tuple(INTERPOLATIONS.values()))
    parser.add_argument("--json", type=Path, default=Path("build/bench/fidelity.json"), metavar="FILE")
    args = parser.parse_args()
    files = prepared(args.source).files()
    uniforms = sample_uniforms(7, 0, np.arange(args.crops), UNIFORMS)
    names = [name for name in FIDELITIES if args.interpolation == "bilinear" or name != "fast"]
    decoders = {name: PictureDecoder(name, args.interpolation) for name in names}
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(args.crops):
        data = files[number % len(files)].read_bytes()
        expected, tiled = reference(data, uniforms[number], args.interpolation), tile(data)[0]
        for name, decoder in decoders.items():
            out = np.empty((SIZE, SIZE, 3), np.uint8)
            decoder.train(memoryview(tiled), out, STRAIGHT, uniforms[number])
            found[name].append(psnr(out, expected))
    print(f"| fidelity | mean PSNR, dB | 5th percentile | worst | identical crops of {args.crops} |")
    print("|---|---:|---:|---:|---:|")
    told = {name: summary(values) for name, values in found.items()}
    for name, (mean, fifth, worst, same) in told.items():
        print(f"| {name} | {mean:.1f} | {fifth:.1f} | {worst:.1f} | {same} |")
    mean, fifth, worst, _ = told["default"]
    bars = [
        Bar("default fidelity, mean PSNR", mean, ">=", 48, " dB"),
        Bar(f"default fidelity, 5th percentile (worst {worst:.1f})", fifth, ">=", 38, " dB"),
    ]
    if args.interpolation == "bicubic":
        bars = []  # whatever the JPEG's own DCT does not shrink is identical, and the mean is about the rest alone
    show(bars)
    keep(args.json, {"fidelity": told}, bars)


def reference(data: bytes, uniforms: NDArray[np.float64], interpolation: str) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    left, top, right, bottom = resized_crop_box(*image.size, STRAIGHT, uniforms)
    size = [SIZE, SIZE]
    cut = vision.resized_crop(
        image,  # type: ignore[arg-type]  # hinted as a tensor, but pictures are taken too
        top, left, bottom - top, right - left, size, InterpolationMode(interpolation), antialias=True,
    )  # fmt: skip
    return np.asarray(cut)


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 10 * np.log10(255**2 / error) if error else np.inf


def summary(values: list[float]) -> tuple[float, float, float, int]:
    """Mean of the finite values, 5th percentile and worst of all, and how many are infinite."""
    found = np.array(values)
    finite = found[np.isfinite(found)]
    mean = float(finite.mean()) if len(finite) else np.inf
    return mean, float(np.sort(found)[len(found) // 20]), float(found.min()), int(np.isinf(found).sum())


if __name__ == "__main__":
    main()
