"""Mutated JPEGs through tiling, cutting, decoding and resizing, and their bytes as a PNG's rows: no crash, no hang, no
read beyond the data, no wrong tiling.

    python -m benchmarks.fuzz --pictures 100000 --seed 0

and the same under the compiler's sanitizers:

    TARN_CC=gcc TARN_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all" ASAN_OPTIONS=detect_leaks=0 \\
        LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" python -m benchmarks.fuzz

Every mutant is a pure function of (seed, number), and lies right before a page that nobody may read. A mutant that is
tiled, or made baseline, is decoded before and after, and both must agree. --kinds progressive: mutants of progressive
pictures alone. Children do the work: one that a signal ends, or that says nothing for a minute, is a failure that names
the mutant. Prints the outcomes, and exits with 1 after a failure.
"""

import argparse
import ctypes
import io
import mmap
import multiprocessing
import sys
import time
import warnings
from collections import Counter
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tarn.sharding.jpeg.structure import Cutter, Reason, Region, has_plain_head, is_whole, tile
from tarn.training.pixels.formats.png import rows_kernel
from tarn.training.pixels.jpeg.region import RegionDecoder
from tarn.training.pixels.resize.resize import Filter, Resizer

PAGE = mmap.PAGESIZE
SPECIAL = (0x00, 0xFF, 0xC0, 0xC4, 0xD0, 0xD3, 0xD7, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0x7F, 0x80)
SILENCE = 60.0  # s
SAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
EXIF = (
    b"Exif\0\0MM\0*\0\0\0\x08\0\3\x01\x12\0\3\0\0\0\1\0\6\0\0\x01\x1a\0\3\0\0\0\1\0\x48\0\0\x01\x28\0\3\0\0\0\1\0\2"
    + bytes(6)
)
XMP = b'<x:xmpmeta tiff:Orientation="6"/>'
PHOTOSHOP = b"\xff\xed\0\x26Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\2ab8BIM\4\5\0\0"
SAVED_AS: dict[str, dict[str, object]] = {
    "restart": {"restart_marker_blocks": 3},
    "tagged": {"exif": EXIF, "xmp": XMP, "icc_profile": bytes(200), "extra": PHOTOSHOP},
    "progressive": {"progressive": True},
    "progressive 4:4:4": {"progressive": True, "subsampling": "4:4:4"},
    "progressive L": {"progressive": True},
    "progressive CMYK": {"progressive": True},
    "progressive restart": {"progressive": True, "restart_marker_blocks": 5},
}
MODES = {"L": "L", "progressive L": "L", "progressive CMYK": "CMYK"}


def originals(kinds: str = "") -> list[bytes]:
    """Pictures of all kinds that begin so, small so that many mutants hit what matters."""
    rng, made = np.random.default_rng(0), []
    for number, (width, height) in enumerate(((97, 61), (160, 40), (33, 90), (64, 64), (200, 120))):
        noise = Image.fromarray(rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8))
        image = noise.resize((width, height), Image.Resampling.BICUBIC)
        for kind in (*SAMPLINGS, "L", *SAVED_AS):
            if not kind.startswith(kinds):
                continue
            out = io.BytesIO()
            options: dict[str, object] = {"quality": (60, 80, 95)[number % 3]}
            options |= {"subsampling": kind} if kind in SAMPLINGS else SAVED_AS.get(kind, {})
            image.convert(MODES.get(kind, "RGB")).save(out, "JPEG", **options)
            made += [out.getvalue()] if kinds else [out.getvalue(), tile(out.getvalue(), 24)[0]]
    return made


def shuffled_scans(data: bytes, rng: np.random.Generator) -> bytes:
    """One scan, with the tables before it, dropped, told twice, or exchanged with the one behind it."""
    ends = [at for at in range(2, len(data) - 1) if data[at] == 0xFF and data[at + 1] in (0xC4, 0xD9)]
    if len(ends) < 4:
        return data
    first = int(rng.integers(len(ends) - 2))
    a, b, c = ends[first : first + 3]
    one, other = data[a:b], data[b:c]
    return data[:a] + (other, one + one + other, other + one)[int(rng.integers(3))] + data[c:]


def mutant(pictures: list[bytes], seed: int, number: int) -> bytes:
    rng = np.random.default_rng([seed, number])
    data = bytearray(pictures[int(rng.integers(len(pictures)))])
    if rng.integers(5) == 0:
        data = bytearray(shuffled_scans(bytes(data), rng))
    for _ in range(int(rng.integers(0, 6))):
        place = int(rng.integers(len(data)))
        kind = int(rng.integers(7))
        if kind == 0:
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[place] = int(rng.integers(256))
        elif kind == 2:
            data[place] = SPECIAL[int(rng.integers(len(SPECIAL)))]
        elif kind == 3:
            del data[place : place + int(rng.integers(1, 60))]
        elif kind == 4:
            data[place:place] = data[: int(rng.integers(1, 80))]
        elif kind == 5:
            del data[max(2, place) :]
        else:
            head = int(rng.integers(min(len(data), 700)))  # tables and sizes, where most of the trust is
            data[head] = int(rng.integers(256))
        if not data:
            return b""
    return bytes(data)


class Cliff:
    """Memory that ends where nobody may read."""

    def __init__(self, pages: int = 64) -> None:
        self.memory = mmap.mmap(-1, (pages + 1) * PAGE)
        self.view = np.frombuffer(self.memory, np.uint8)
        self.end = pages * PAGE
        guard = ctypes.c_void_p(self.view.ctypes.data + self.end)
        if ctypes.CDLL(None, use_errno=True).mprotect(guard, PAGE, 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def place(self, data: bytes) -> NDArray[np.uint8]:
        at = self.view[self.end - len(data) : self.end]
        at[:] = np.frombuffer(data, np.uint8)
        return at


def by_pillow(data: bytes) -> bytes | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                return image.tobytes()
    except Exception:
        return None


def examine(
    data: bytes,
    cliff: Cliff,
    cutter: Cutter,
    decoder: RegionDecoder,
    resizer: Resizer,
    out: NDArray[np.uint8],
    rng: np.random.Generator,
) -> str:
    """The outcome in words; raises AssertionError for what must not be."""
    undo_filters(cliff, data, rng)
    lying = cliff.place(data).data
    tiled, reason = tile(lying, 24) if data else (b"", Reason.NOT_JPEG)
    plain = bool(data) and has_plain_head(lying)  # otherwise packing asks Pillow, as it does where we read no more
    assert not (plain and is_whole(lying)) or by_pillow(data) is not None, "taken for a whole picture"
    if reason == Reason.OK or tiled != data:
        before = by_pillow(data)
        if before is None and (not plain or reason in (Reason.COMPONENTS, Reason.SAMPLING)):
            return f"{reason.words}, not read by Pillow"
        assert before is not None, "tiled, and Pillow does not read it"
        assert before == by_pillow(tiled), "tiled into other pixels"
    for source in (data, tiled) if reason == Reason.OK else (data,):
        if not source:
            continue
        lying = cliff.place(source).data
        left, top = (int(value) for value in rng.integers(0, 120, 2))
        box = (left, top, left + int(rng.integers(1, 90)), top + int(rng.integers(1, 90)))
        region = cutter.cut(lying, box)
        scale = (8, 8, 4, 2, 1)[int(rng.integers(5))]
        told, (_, _, columns, rows) = decoder.decode_into(np.frombuffer(lying, np.uint8), box, scale, out)
        if told == Reason.OK:
            resize(cliff, resizer, out[: rows * columns * 3].reshape(rows, columns, 3), rng)
        if isinstance(region, Region):
            decoder.decode_into(np.frombuffer(region.data, np.uint8), (0, 0, 90, 90), scale, out)
    return reason.words


def undo_filters(cliff: Cliff, data: bytes, rng: np.random.Generator) -> None:
    """The bytes as what a PNG's inflated rows may be, right before what nobody may read; every filter has its rows."""
    pixel, width = (1, 2, 3, 4, 6, 8)[int(rng.integers(6))], int(rng.integers(1, 40))
    count = len(data) // (width * pixel + 1)
    lying = cliff.place(data[: count * (width * pixel + 1)])
    lying[:: width * pixel + 1] %= 5
    right, skipped = int(rng.integers(1, width + 1)), int(rng.integers(count + 1))
    left, step = int(rng.integers(right)), 0 if pixel < 3 else pixel // 3
    palette = rng.integers(0, 256, (256, 3), np.uint8) if pixel == 1 else None
    above, out = np.zeros(right * pixel, np.uint8), np.empty((count - skipped, right - left, 3), np.uint8)
    status = rows_kernel().png_rows(
        *(lying.ctypes.data, width * pixel, count, right * pixel, pixel, above.ctypes.data, skipped, left, step),
        *(None if palette is None else palette.ctypes.data, out.ctypes.data),
    )
    assert not status, "rows of a PNG that are sound were refused"


def resize(cliff: Cliff, resizer: Resizer, pixels: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Some box of the pixels, right before what nobody may read, by some filter."""
    rows, columns, _ = pixels.shape
    lying = cliff.place(pixels.tobytes()).reshape(rows, columns, 3)
    (left, right), (top, bottom) = (np.sort(rng.uniform(0, side, 2)).tolist() for side in (columns, rows))
    width, height = (int(value) for value in rng.integers(1, 120, 2))
    target = np.empty((height, width, 3), np.uint8)
    kind, flip = Filter(int(rng.integers(len(Filter)))), bool(rng.integers(2))
    resizer.resize(lying, (left, top, right - left, bottom - top), target, kind, flip)


def serve(connection: Connection, seed: int, numbers: range, kinds: str) -> None:
    pictures, cliff, cutter, decoder, resizer = originals(kinds), Cliff(), Cutter(), RegionDecoder(), Resizer()
    out = np.zeros(100_000, np.uint8)  # a box has 90 x 90 px at most
    for number in numbers:
        connection.send(("at", number))
        try:
            data = mutant(pictures, seed, number)
            told = examine(data, cliff, cutter, decoder, resizer, out, np.random.default_rng([seed, number, 1]))
        except AssertionError as error:
            connection.send(("wrong", f"{number}: {error}"))
            continue
        connection.send(("done", told))
    connection.send(("end", None))


def watch(connection: Connection, child: multiprocessing.process.BaseProcess, outcomes: Counter[str]) -> list[str]:
    failures: list[str] = []
    at = -1
    while True:
        if not connection.poll(SILENCE):
            child.kill()
            return [*failures, f"{at}: nothing for {SILENCE:.0f} s"]
        try:
            kind, told = connection.recv()
        except EOFError:
            child.join()
            return [*failures, f"{at}: the process ended with {child.exitcode}"]
        if kind == "end":
            return failures
        if kind == "at":
            at = told
        elif kind == "wrong":
            failures.append(told)
        else:
            outcomes[told] += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--kinds", default="", help="what they begin with: progressive, for instance (all)")
    args = parser.parse_args()
    _ = Cutter(), RegionDecoder(), Resizer()  # compiled here, which may take longer than a child may be silent
    started, outcomes = time.perf_counter(), Counter[str]()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(
        target=serve, args=(theirs, args.seed, range(args.first, args.first + args.pictures), args.kinds), daemon=True
    )
    child.start()
    theirs.close()
    failures = watch(ours, child, outcomes)
    seconds = time.perf_counter() - started
    print(f"{sum(outcomes.values()):,} mutants in {seconds:.0f} s: {dict(outcomes.most_common())}")
    for failure in failures:
        print(f"FAILED mutant {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
