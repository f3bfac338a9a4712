"""Images/s by what pictures are stored as: Pillow, and the loader of them as they are, packed, and normalised.

    python -m benchmarks.kinds DATA [--pictures 300] [--rounds 5]

The same pictures are encoded as every kind and packed both ways. Crops of 224 px, batches of 64, all in one process and
thread; seconds are those of the processor, so that whoever else is on the core takes no part; the ways take turns.
Pillow's are of decoding and resizing alone (decode_train), which the loader does for what nothing else decodes.
Prints medians of images/s: Pillow's, of shards of the pictures as they are, and by how much these are faster than
Pillow; of packed ones (`pack`, or `pack --normalise` where the kind is no JPEG of usual colours), and by how much these
are faster than the pictures as they are; the bytes of a picture; and the mean PSNR between the pixels as they are and
packed (`same`: all are equal). What docs/loader.md has of it without the extra `decoders` was measured where simplejpeg
and isal are not installed.
"""

import argparse
import io
import shutil
import statistics
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.data import prepared
from benchmarks.machine import describe, pin
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation, prepare
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import File
from tarn.training.pixels.geometry import UNIFORMS, Augmentation
from tarn.training.pixels.pictures import decode_train
from tarn.training.streaming import ShardLoader
from tarn.training.streaming.randomness import sample_uniforms

OUT = Path("build/bench/kinds")
BATCH = 64
PLAIN, TILED, NORMALISED = Preparation(tile=0), Preparation(), Preparation(normalise=True)
TURNED = Image.Exif()
TURNED[0x0112] = 6


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_of_16_bits(image: Image.Image) -> bytes:
    """RGB: Pillow writes no such PNG (PNG 1.2, section 4). The lower bytes are drawn."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    high = np.asarray(image)
    low = np.random.default_rng(0).integers(0, 4, high.shape, np.uint8)
    rows = np.stack([high, low], -1).reshape(image.height, -1)
    raw = np.pad(rows, ((0, 0), (1, 0))).tobytes()  # no filter
    head = struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*it) for it in chunks)


@dataclass(frozen=True, slots=True)
class Kind:
    encode: Callable[[Image.Image], bytes]
    before: Preparation
    after: Preparation


KINDS = {
    "baseline JPEG": Kind(lambda it: saved(it, "JPEG", quality=90), PLAIN, TILED),
    "progressive JPEG": Kind(lambda it: saved(it, "JPEG", quality=90, progressive=True), PLAIN, TILED),
    "JPEG turned by Exif": Kind(lambda it: saved(it, "JPEG", quality=90, exif=TURNED.tobytes()), TILED, NORMALISED),
    "progressive grey JPEG": Kind(
        lambda it: saved(it.convert("L"), "JPEG", quality=90, progressive=True), PLAIN, TILED
    ),
    "CMYK JPEG": Kind(lambda it: saved(it.convert("CMYK"), "JPEG", quality=90), TILED, NORMALISED),
    "PNG": Kind(lambda it: saved(it, "PNG"), TILED, NORMALISED),
    "PNG, transparent": Kind(lambda it: saved(it.convert("RGBA"), "PNG"), TILED, NORMALISED),
    "PNG, grey": Kind(lambda it: saved(it.convert("L"), "PNG"), TILED, NORMALISED),
    "PNG with a palette": Kind(lambda it: saved(it.quantize(), "PNG"), TILED, NORMALISED),
    "PNG of 16 bits": Kind(png_of_16_bits, TILED, NORMALISED),
    "GIF": Kind(lambda it: saved(it, "GIF"), TILED, NORMALISED),
    "WebP, lossy": Kind(lambda it: saved(it, "WEBP", quality=90), TILED, NORMALISED),
    "WebP, lossless": Kind(lambda it: saved(it, "WEBP", lossless=True), TILED, NORMALISED),
    "AVIF": Kind(lambda it: saved(it, "AVIF", speed=8), TILED, NORMALISED),
    "TIFF, LZW": Kind(lambda it: saved(it, "TIFF", compression="tiff_lzw"), TILED, NORMALISED),
    "TIFF, as it is": Kind(lambda it: saved(it, "TIFF"), TILED, NORMALISED),
    "BMP": Kind(lambda it: saved(it, "BMP"), TILED, NORMALISED),
}


class Way:
    """A dataset of one kind, prepared one way."""

    def __init__(self, tree: Path, name: str, how: Preparation) -> None:
        root = OUT / name
        manifest, _ = pack(tree, root, PackConfig(split="train", preparation=how))
        self.bytes = manifest.split("train").bytes / manifest.split("train").samples
        self.loader = ShardLoader(str(root), global_batch=BATCH, image_size=224, num_workers=0)
        self.epoch, self.rates = 0, list[float]()

    def turn(self) -> None:
        """One epoch."""
        self.loader.set_epoch(self.epoch)
        started, images = time.process_time(), 0
        for batch in self.loader:
            images += len(batch.labels)
        self.rates.append(images / (time.process_time() - started))
        self.epoch += 1


class Pillow:
    """The same crops of the same pictures without Tarn's decoders."""

    def __init__(self, files: list[Path]) -> None:
        self.pictures = [file.read_bytes() for file in files]
        self.epoch, self.rates = 0, list[float]()

    def turn(self) -> None:
        """One epoch."""
        rows = sample_uniforms(0, self.epoch, np.arange(len(self.pictures)), UNIFORMS)
        started = time.process_time()
        for data, row in zip(self.pictures, rows, strict=True):
            decode_train(data, 224, Augmentation(), row)
        self.rates.append(len(self.pictures) / (time.process_time() - started))
        self.epoch += 1


def pixels(data: bytes, turned: bool) -> NDArray[np.float64]:
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image) if turned else image
        return np.asarray(upright.convert("RGB")).astype(float)


def likeness(files: list[Path], how: Preparation) -> str:
    """Mean PSNR in dB; `same` where no pixel differs."""
    found = []
    for file in files:
        data = file.read_bytes()
        made = prepare(data, Picture(file.stem, File.at(str(file)), 0, len(data)), how).data
        error = float(np.square(pixels(data, how.normalise) - pixels(made, how.normalise)).mean())
        if error:
            found.append(10 * np.log10(255**2 / error))
    return f"{np.mean(found):.1f} dB" if found else "same"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="DATA", help="a Kaggle tree or an ImageFolder tree of JPEGs")
    parser.add_argument("--pictures", type=int, default=300, help=f"of each kind, at least {BATCH} (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="epochs of each way (%(default)s)")
    args = parser.parse_args()
    if args.pictures < BATCH or args.rounds < 1:
        parser.error(
            f"--pictures={args.pictures} --rounds={args.rounds}: {BATCH} and 1 are the least, a batch and an epoch"
        )
    files = prepared(args.source).files()
    if len(files) < BATCH:
        parser.error(f"{args.source} has {len(files)} JPEGs to train on, and a batch takes {BATCH}: give a larger tree")
    chosen = files[:: max(1, len(files) // args.pictures)][: args.pictures]
    pin(1)
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    ways: dict[str, tuple[Pillow, Way, Way]] = {}
    alike: dict[str, str] = {}
    for number, (name, kind) in enumerate(KINDS.items()):
        folder = OUT / f"tree-{number}" / "train" / "all"
        folder.mkdir(parents=True)
        for file in chosen:
            with Image.open(file) as image:
                (folder / f"{file.stem}.JPEG").write_bytes(kind.encode(image.convert("RGB")))
        made = sorted(folder.iterdir())
        alike[name] = likeness(made[::10], kind.after)
        tree = folder.parents[1]
        before, after = Way(tree, f"{number}-before", kind.before), Way(tree, f"{number}-after", kind.after)
        ways[name] = (Pillow(made), before, after)
    for _ in range(args.rounds):
        for taken in ways.values():
            for way in taken:
                way.turn()
    print(f"{describe()}, {len(chosen)} pictures, {args.rounds} rounds in turns\n")
    print("| kind | Pillow, images/s | as it is | x | packed | x | kB as it is | packed | pixels |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, (pillow, before, after) in ways.items():
        usual, one, other = (statistics.median(way.rates) for way in (pillow, before, after))
        print(
            f"| {name} | {usual:,.0f} | {one:,.0f} | {one / usual:.1f} | {other:,.0f} | {other / one:.1f} | "
            f"{before.bytes / 1e3:.0f} | {after.bytes / 1e3:.0f} | {alike[name]} |"
        )
    tiled, progressive = (statistics.median(ways[name][2].rates) for name in ("baseline JPEG", "progressive JPEG"))
    print(f"\nprogressive, packed, x baseline, tiled: {progressive / tiled:.3f}")


if __name__ == "__main__":
    main()
