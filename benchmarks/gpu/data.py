"""Unpacks the luggage and packs it; in a rehearsal, and for photographs that were not brought, a drawn sample."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from benchmarks.gpu.stage import Stage, read_stage

REPEATS = 100  # of each photograph, under a name of its own
ARCHIVES = {"imagenette": "imagenette-144.tar.xz", "cifar10": "cifar10-jpeg.tar.xz"}


def main() -> None:
    stage = read_stage("data")
    folder = stage.out / "data"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sharding("sample", str(folder / "drawn-pictures"))
    sharding("pack", str(folder / "drawn-pictures"), str(folder / "drawn"))
    photographs = sorted((stage.luggage / "photographs").glob("*.JPEG"))[: 4 if stage.rehearsal else None]
    if photographs:
        repeated(photographs, folder / "photographs-tree")
        sharding("pack", str(folder / "photographs-tree"), str(folder / "photographs"), "--shard-size", "20MB")
    for name, archive in ARCHIVES.items():
        unpack(stage, name, stage.luggage / archive, folder)
    for name in ("photographs", *ARCHIVES):
        if stage.dataset(name) is None:
            stage.verdicts.absent(name, "not in the luggage")


def repeated(photographs: list[Path], tree: Path) -> None:
    """An ImageFolder tree, ten classes."""
    for number, photograph in enumerate(photographs):
        for split, count in (("train", REPEATS), ("val", 1)):
            home = tree / split / f"class{number % 10}"
            home.mkdir(parents=True, exist_ok=True)
            for copy in range(count):
                shutil.copy(photograph, home / f"{photograph.stem}-{copy}.JPEG")


def unpack(stage: Stage, name: str, archive: Path, folder: Path) -> None:
    if not archive.exists():
        if stage.rehearsal:
            (folder / name).symlink_to("drawn")
        return
    tree = folder / f"{name}-tree"
    with tarfile.open(archive) as tar:
        tar.extractall(tree, filter="data")
    sharding("pack", str(tree), str(folder / name), "--shard-size", "8MB")


def sharding(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "tarn.sharding", *words], stdout=sys.stderr, check=True)


if __name__ == "__main__":
    main()
