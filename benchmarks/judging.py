"""What one file is to Tarn, held against Pillow and torchvision: for benchmarks/pictures.py."""

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from torchvision.transforms import functional

from benchmarks.references import Pixels, by_forgiving_pillow, by_libjpeg, by_pillow, digest
from tarn.sharding.jpeg.structure import Reason, look
from tarn.sharding.packing.inspection import told_kind
from tarn.sharding.packing.preparation import DamagedError, Preparation, prepare
from tarn.sharding.pillow import BrokenPictureError
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import File
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.geometry import UNIFORMS, Augmentation, resized_crop_box
from tarn.training.pixels.jpeg.region import Region, RegionDecoder
from tarn.training.pixels.preprocessing import Preprocessing

WAYS = {
    "tiled": Preparation(check="sample"),
    "not tiled": Preparation(tile=0),
    "normalised": Preparation(normalise=True),
    "made smaller": Preparation(max_side=48),
    "of another quality": Preparation(quality=80),
}
KEPT = ("tiled", "not tiled")  # ways that change no pixel
LIMITS = ("too large", "cut off before its end marker")  # of packing, where Pillow has others or none
NARROW = "too long and narrow"
COMPARED = 40_000_000  # px; pictures beyond are packed, and not compared
BOXES, CROPS, SIZE = 8, 4, 64
EVALUATION, TRAINING = Preprocessing(resize=72, crop=SIZE), Augmentation(flip=0)


@dataclass(slots=True)
class Verdict:
    """kind: by the content. pillow: reads, refuses, or `too large`; digest: of the pixels that it gives. packing:
    `packed`, or why not, by the way of packing; tiling: why not tiled. boxes, evaluations, crops: that were compared.
    shown: of what, as docs/packing.md says, evaluation shows although packing refuses it. wrong: what must not be."""

    kind: str
    pillow: str
    digest: str | None = None
    packing: dict[str, str] = field(default_factory=dict)
    tiling: str = ""
    boxes: int = 0
    evaluations: int = 0
    crops: int = 0
    shown: str = ""
    wrong: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


class Judge:
    """Has decoders, and judges file after file."""

    def __init__(self) -> None:
        self.regions, self.exact = RegionDecoder(), PictureDecoder("exact")
        self.others = {name: PictureDecoder(name) for name in ("default", "fast")}  # other pixels, but no other ends

    def judge(self, data: bytes, seed: int) -> Verdict:
        kind, told, pixels = by_pillow(data)
        verdict = Verdict(kind, told)
        verdict.digest = digest(pixels) if pixels is not None else None
        packed = {way: self.packed(data, way, verdict) for way in WAYS}
        rng = np.random.default_rng(seed)
        if pixels is None:
            self.refuse(data, verdict)
            return verdict
        for way in KEPT:
            result = packed[way]
            if result is not None and not np.array_equal(by_pillow(result)[2], pixels):  # type: ignore[arg-type]
                verdict.wrong.append(f"packing {way} gave other pixels")
        tiled = packed["tiled"]
        if tiled is not None:
            self.compare(tiled, pixels, verdict, rng)
            if tiled != data:  # as it lies in the tars of others
                self.compare(data, pixels, verdict, rng)
        return verdict

    def packed(self, data: bytes, way: str, verdict: Verdict) -> bytes | None:
        """Its bytes, where it was; the verdict tells."""
        reads = verdict.pillow == "reads" and not verdict.kind.startswith("other")
        try:
            prepared = prepare(data, Picture("key", File("", "file"), 0, len(data)), WAYS[way])
        except DamagedError as error:
            verdict.packing[way] = str(error)
            if reads and not any(limit in str(error) for limit in LIMITS):
                verdict.wrong.append(f"packing {way} refuses what Pillow reads: {error}")
            return None
        except Exception as error:
            verdict.packing[way] = "TRACEBACK"
            verdict.wrong.append(f"packing {way} raised {last(error)}")
            return None
        verdict.packing[way] = "packed"
        if way == "tiled":
            verdict.tiling = prepared.left or "tiled"
        if not reads:
            verdict.wrong.append(f"packing {way} passes what Pillow does not read")
        return prepared.data

    def refuse(self, data: bytes, verdict: Verdict) -> None:
        """The loader must say that it is broken, and no more; or show what docs/packing.md says that it shows."""
        out, view = np.empty((SIZE, SIZE, 3), np.uint8), memoryview(data)
        for name, decoder in (("exact", self.exact), *self.others.items()):
            refusing(verdict, f"training ({name})", partial(decoder.train, view, out, TRAINING, np.full(UNIFORMS, 0.5)))
        decoded = refusing(verdict, "evaluation", partial(self.exact.evaluate, view, out, EVALUATION))
        if decoded and verdict.pillow == "refuses":
            verdict.shown = shown(data, out)
            if not verdict.shown:
                verdict.wrong.append("evaluation decodes what Pillow does not read")

    def compare(self, data: bytes, pixels: Pixels, verdict: Verdict, rng: np.random.Generator) -> None:
        height, width, _ = pixels.shape
        if width * height > COMPARED:
            return
        image: Any = Image.fromarray(pixels)
        out, view = np.empty((SIZE, SIZE, 3), np.uint8), memoryview(data)
        for _ in range(BOXES if look(data) == Reason.OK else 0):
            left, top = int(rng.integers(width)), int(rng.integers(height))
            right, bottom = int(rng.integers(left, width)) + 1, int(rng.integers(top, height)) + 1
            region = self.regions.decode(data, (left, top, right, bottom))
            if isinstance(region, Region):
                verdict.boxes += 1
                if not np.array_equal(region.pixels, crop_of(pixels, region)):
                    verdict.wrong.append(f"region {left, top, right, bottom} has other pixels")
        for _ in range(CROPS):
            uniforms = rng.random(UNIFORMS)
            left, top, right, bottom = resized_crop_box(width, height, TRAINING, uniforms)
            if attempted(verdict, "training", partial(self.exact.train, view, out, TRAINING, uniforms)):
                theirs = functional.resized_crop(image, top, left, bottom - top, right - left, [SIZE, SIZE])
                verdict.crops += 1
                if not np.array_equal(out, np.asarray(theirs)):
                    verdict.wrong.append(f"training crop {left, top, right, bottom} has other pixels")
            for name, decoder in self.others.items():
                attempted(verdict, f"training ({name})", partial(decoder.train, view, out, TRAINING, uniforms))
        if attempted(verdict, "evaluation", partial(self.exact.evaluate, view, out, EVALUATION)):
            verdict.evaluations += 1
            if not np.array_equal(out, evaluated(image)):
                verdict.wrong.append("evaluation has other pixels")


def evaluated(image: Any) -> Pixels:
    """By torchvision."""
    return np.asarray(functional.center_crop(functional.resize(image, [EVALUATION.resize]), [SIZE]))


def shown(data: bytes, out: Pixels) -> str:
    """Why evaluation may show what Pillow refuses, empty where it may not: the damage is of what no pixel of the crop
    comes from. Where a decoder bears with it (Pillow with some PNGs, libjpeg-turbo), the crop must be that one's."""
    kind = told_kind(data)
    if kind in ("png", "webp"):
        pixels = by_forgiving_pillow(data)
        word = f"a {'PNG' if kind == 'png' else 'WebP'}, harmed outside of the crop"
        return word if pixels is None or np.array_equal(out, evaluated(Image.fromarray(pixels))) else ""
    pixels = by_libjpeg(data)
    same = pixels is not None and np.array_equal(out, evaluated(Image.fromarray(pixels)))
    return "a JPEG whose head Pillow refuses" if same else ""


def crop_of(pixels: Pixels, region: Region) -> Pixels:
    rows, columns, _ = region.pixels.shape
    return pixels[region.top : region.top + rows, region.left : region.left + columns]


def refusing(verdict: Verdict, what: str, decode: Callable[[], None]) -> bool:
    """Whether it was decoded; it may be refused as broken."""
    try:
        decode()
    except BrokenPictureError:
        return False
    except Exception as error:
        verdict.wrong.append(f"{what} raised {last(error)}")
        return False
    return True


def attempted(verdict: Verdict, what: str, decode: Callable[[], None]) -> bool:
    """Whether it was decoded. What is too narrow for a size is a limit of ours, which we name."""
    try:
        decode()
    except BrokenPictureError as error:
        if NARROW not in str(error):
            verdict.wrong.append(f"{what} refuses what was packed: {error}")
        return False
    except Exception as error:
        verdict.wrong.append(f"{what} raised {last(error)}")
        return False
    return True


def last(error: Exception) -> str:
    """In a line: what it was, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]} ({where})"
