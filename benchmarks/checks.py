"""What it costs that cached shards are checked: python -m benchmarks.checks path/to/packed

Contenders take turns, medians over --rounds: pictures of the train split read from files in the page cache, with the
CRC-32 of each and without; a shard written with the fsync before its rename and without.
"""

import argparse
import os
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine import describe
from tarn.sharding.format.manifest import parse_index, read_manifest

Piece = tuple[int, int, int, int]  # descriptor, offset, size, CRC-32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("local", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=int, default=4000, help="pictures read (%(default)s)")
    args = parser.parse_args()
    pieces = pieces_of(args.local, args.most)
    shard = (args.local / read_manifest(str(args.local)).split("train").shards[0].name).read_bytes()
    print(describe())
    bare, checked = medians(args.rounds, lambda: read(pieces, False), lambda: read(pieces, True))
    size = sum(size for _, _, size, _ in pieces) / len(pieces)
    print(
        f"{len(pieces)} pictures of {size / 1e3:.0f} kB: read in {bare / len(pieces) * 1e6:.1f} us each, with its "
        f"CRC-32 in {checked / len(pieces) * 1e6:.1f} us"
    )
    with tempfile.TemporaryDirectory(dir=args.local.parent) as folder:
        target = Path(folder) / "shard"
        quick, safe = medians(args.rounds, lambda: write(shard, target, False), lambda: write(shard, target, True))
    print(f"a shard of {len(shard) / 1e6:.1f} MB: written in {quick * 1e3:.1f} ms, with fsync in {safe * 1e3:.1f} ms")


def pieces_of(root: Path, most: int) -> list[Piece]:
    pieces: list[Piece] = []
    for info in read_manifest(str(root)).split("train").shards:
        file = os.open(root / info.name, os.O_RDONLY)
        records = parse_index((root / info.index_name).read_bytes(), info.index_name)
        pieces += [(file, offset, size, crc) for offset, size, _, crc in records.tolist()]
        if len(pieces) >= most:
            break
    return pieces[:most]


def read(pieces: list[Piece], check: bool) -> None:
    for file, offset, size, crc in pieces:
        data = os.pread(file, size, offset)
        if check and zlib.crc32(data) != crc:
            raise SystemExit("a picture does not have the CRC-32 of its index")


def write(data: bytes, target: Path, flush: bool) -> None:
    part = target.with_suffix(".part")
    with part.open("wb") as file:
        file.write(data)
        if flush:
            file.flush()
            os.fsync(file.fileno())
    part.rename(target)


def medians(rounds: int, *contenders: Callable[[], None]) -> list[float]:
    """Seconds, the contenders in turns, after one round for the page cache."""
    times: list[list[float]] = [[] for _ in contenders]
    for number in range(rounds + 1):
        for contender, found in zip(contenders, times, strict=True):
            started = time.perf_counter()
            contender()
            if number:
                found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in times]


if __name__ == "__main__":
    main()
