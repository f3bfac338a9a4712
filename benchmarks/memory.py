"""Whether the memory of a loader's processes stays flat: 100 epochs over ragged shards.

    python -m benchmarks.memory path/to/packed [--epochs 100]

Packs pictures of the dataset into shards of 1 to 40 samples, iterates 100 shuffled epochs with 2 workers at 32 px,
checks that every epoch serves each of its samples once, and prints the process tree's memory (proportional set size)
after epochs 2, 10, 20 ... and its growth since epoch 2; and beside it that of what no file backs: the share of a
library's pages that counts as ours falls when another program maps the same library.
"""

import argparse
import os
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from webdataset.writer import TarWriter

from tarn.training.streaming import ShardLoader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packed", type=Path)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--samples", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shards = ragged(args.packed, Path(folder), args.samples)
        loader = ShardLoader(folder, global_batch=32, image_size=32, num_workers=2, keys=True)
        start: Counter[str] = Counter()
        for epoch in range(1, args.epochs + 1):
            keys = [key for batch in loader for key in batch.keys]
            assert len(keys) == len(set(keys)) == len(loader) * 32, f"epoch {epoch} repeats samples"
            if epoch == 2 or epoch % 10 == 0:
                memory = tree_memory()
                start = start or memory
                told = (
                    f"{name} {memory[name] / 1e6:7.1f} MB ({memory[name] / start[name] - 1:+.1%})" for name in memory
                )
                print(f"epoch {epoch:3}: {', '.join(told)} since epoch 2", flush=True)
        print(f"{args.samples} samples in {shards} shards, {len(loader) * 32} served an epoch, none twice")
        loader.close()


def ragged(packed: Path, folder: Path, samples: int) -> int:
    """Writes tars of 1 to 40 samples and indexes them; returns their number."""
    from tarn.sharding.__main__ import main as sharding

    rng = np.random.default_rng(0)
    found: list[tuple[str, bytes]] = []
    for path in sorted((packed / "train").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".jpg") and len(found) < samples:
                    found.append((member.name.split(".")[0], tar.extractfile(member).read()))  # type: ignore[union-attr]
    number = 0
    while found:
        with TarWriter(str(folder / f"train-{number:04d}.tar"), encoder=False) as tar:
            for key, data in found[: int(rng.integers(1, 41))]:
                tar.write({"__key__": key, "jpg": data, "cls": b"0"})
                found = found[1:]
        number += 1
    sharding(["index", str(folder)])
    return number


def tree_memory() -> "Counter[str]":
    """Bytes of this process and its children, shared pages divided among those who share them: all, and those that
    are no file's."""
    parent, total = os.getpid(), Counter[str]()
    for home in Path("/proc").glob("[0-9]*"):
        try:
            ancestry = int((home / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if int(home.name) == parent or ancestry == parent:
                for line in (home / "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total["all"] += 1024 * int(line.split()[1])
                    if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                        total["not of files"] += 1024 * int(line.split()[1])
        except (OSError, IndexError):
            continue
    return total


if __name__ == "__main__":
    main()
