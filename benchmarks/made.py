"""A folder of pictures for benchmarks/pictures.py: every format and mode that Pillow writes, whole, cut and harmed.

    python -m benchmarks.made FOLDER [--cuts 3] [--mutants 4] [--seed 0]

Whole ones stand in FOLDER/whole; of each, some are cut at random places (FOLDER/cut) and some have a few bytes changed,
taken out or put in (FOLDER/mutants). JPEGs also come with what is legal and rare: fill bytes and a restart marker
before the end, a film behind it, a thumbnail whose end comes before theirs.
"""

import argparse
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

Options = dict[str, object]

SIZES = ((97, 61), (200, 150), (8, 8), (1, 1), (3, 300))
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "I;16B", "F")
TIFFS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "group4", "jpeg")
WRITTEN: dict[str, tuple[Options, ...]] = {
    "JPEG": (
        {"subsampling": "4:4:4"},
        {"subsampling": "4:2:2"},
        {"subsampling": "4:2:0"},
        {"quality": 1},
        {"quality": 100},
        {"progressive": True, "subsampling": "4:4:4"},
        {"progressive": True, "subsampling": "4:2:0"},
        {"restart_marker_blocks": 3},
        {"progressive": True, "restart_marker_blocks": 5},
        {"keep_rgb": True},
    ),
    "PNG": ({}, {"compress_level": 0}, {"bits": 2}),
    "WEBP": ({}, {"lossless": True}),
    "GIF": ({}, {"interlace": 0}),
    "BMP": ({},),
    "TIFF": tuple({"compression": name} for name in TIFFS),
    "AVIF": ({},),
    "JPEG2000": ({}, {"irreversible": True}, {"no_jp2": True}),
    "PPM": ({},),
    "MPO": ({},),
    **{name: ({},) for name in ("TGA", "ICO", "PCX", "SGI", "DDS", "DIB", "IM", "MSP", "XBM", "QOI")},
}


def drawn(size: tuple[int, int], mode: str) -> Image.Image:
    """Coarse colours under some noise. Raises ValueError where Pillow makes no such mode of RGB."""
    rng, (width, height) = np.random.default_rng(list(size)), size
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noisy = np.asarray(coarse).astype(int) + rng.integers(-12, 13, (height, width, 3))
    image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    if mode in ("I;16", "I;16B", "I", "F"):
        return image.convert("L").convert("I" if mode != "F" else "F").convert(mode)
    if mode in ("PA", "LA"):
        return image.convert("LA").convert(mode)
    return Image.new(mode, size, tuple(rng.integers(0, 256, 3))) if mode == "LAB" else image.convert(mode)


def whole() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of all that can be written."""
    for kind, ways in WRITTEN.items():
        for mode in MODES:
            for number, options in enumerate(ways):
                for size in SIZES:
                    data = written(kind, mode, size, options)
                    if data is None:
                        continue
                    name = f"{kind}-{mode.replace(';', '')}-{number}-{size[0]}x{size[1]}"
                    yield name, data
                    if kind == "JPEG" and size == SIZES[0]:
                        yield from ((f"{name}-{word}", other) for word, other in rare(data))


def written(kind: str, mode: str, size: tuple[int, int], options: Options) -> bytes | None:
    out = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            drawn(size, mode).save(out, kind, **options)
    except Exception:  # no such mode in this format, or no encoder in this Pillow
        return None
    return out.getvalue()


def rare(jpeg: bytes) -> Iterator[tuple[str, bytes]]:
    head, inside = jpeg[:-2], b"Exif\0\0" + jpeg
    yield "filled", head + b"\xff\xff\xff\xd9"
    yield "restarted", head + b"\xff\xd5\xff\xd9"
    yield "film", jpeg + bytes(100_000)
    if len(inside) < 65_000:
        yield "thumbnail", jpeg[:2] + b"\xff\xe1" + (2 + len(inside)).to_bytes(2, "big") + inside + jpeg[2:]


def harmed(data: bytes, rng: np.random.Generator) -> bytes:
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(min(len(made), 600) if rng.integers(2) else len(made)))
        kind = int(rng.integers(4))
        if kind == 0:
            made[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            made[at] = int(rng.integers(256))
        elif kind == 2 and len(made) > 80:
            del made[at : at + int(rng.integers(1, 40))]
        else:
            made[at:at] = rng.integers(0, 256, int(rng.integers(1, 20)), np.uint8).tobytes()
    return bytes(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cuts", type=int, default=3, help="of each picture (%(default)s)")
    parser.add_argument("--mutants", type=int, default=4, help="of each picture (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    made = 0
    for number, (name, data) in enumerate(whole()):
        rng = np.random.default_rng([args.seed, number])
        cuts = [data[: int(rng.integers(len(data)))] for _ in range(args.cuts)]
        mutants = [harmed(data, rng) for _ in range(args.mutants)]
        for folder, found in (("whole", [data]), ("cut", cuts), ("mutants", mutants)):
            for place, content in enumerate(found):
                path = args.folder / folder / f"{name}-{place}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                made += 1
    print(f"{made:,} files in {args.folder}")


if __name__ == "__main__":
    main()
