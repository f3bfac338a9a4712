"""What packing to a store takes of the machine: the memory of all its processes, and the local disk.

    python -m benchmarks.packing PICTURES s3://bucket/name [--pictures 10000] [--workers 2] [--shard-size 100MB]

The pictures under so many names (links) are packed by the command, in a process of its own, whose memory (resident and
proportional, of the parent and its workers) and temporary files are looked at ten times a second. Printed: the most
that was seen of each. OUT may be a folder too; then what lies aside there is counted. What lies at OUT is replaced.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.data import jpegs_below
from benchmarks.machine import describe, memory, tree
from benchmarks.pack import copied
from benchmarks.report import Bar, keep, show
from tarn.sharding.sizes import parse_size

POLL = 0.1  # s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shard-size", default="100MB")
    parser.add_argument("--json", type=Path, default=Path("build/bench/packing.json"), metavar="FILE")
    args = parser.parse_args()
    source, *_ = copied(jpegs_below(args.source.resolve()), args.pictures)
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "tarn.sharding", "pack", str(source.absolute()), args.out, "--split=train"]
        command += [f"--workers={args.workers}", f"--shard-size={args.shard_size}", "--overwrite"]
        started = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, "TMPDIR": scratch})
        aside = Path(scratch) if "://" in args.out else Path(args.out)
        resident = proportional = largest = room = 0.0
        while process.poll() is None:
            found = memory(process.pid)
            resident, proportional = max(resident, found[0]), max(proportional, found[1])
            largest = max(largest, *(memory_of_one(it) for it in tree(process.pid)))
            room = max(room, bytes_aside(aside))
            time.sleep(POLL)
        seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"packing ended with exit code {process.returncode}")
    print(f"{describe()}: {args.pictures} pictures, {args.workers} workers, {args.shard_size}, {seconds:.0f} s")
    print(f"resident {resident / 1e6:.0f} MB (the largest process {largest / 1e6:.0f} MB)")
    promised = args.workers * parse_size(args.shard_size)
    bars = [
        Bar("memory of all processes, proportional", proportional / 1e6, "<=", 600, " MB"),
        Bar("local disk, x workers x shard size", room / promised, "<=", 1.02),
    ]
    show(bars)
    keep(args.json, {"resident": resident, "seconds": seconds}, bars)


def memory_of_one(process: int) -> float:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def bytes_aside(folder: Path) -> int:
    """In staging folders and among temporary files; what is removed meanwhile does not count."""
    total = 0
    for pattern in (".staging-*/**/*", "tarn-packing-*/**/*"):
        for path in folder.glob(pattern):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except OSError:
                continue
    return total


if __name__ == "__main__":
    main()
