"""The benchmarks' pictures, and the same packed in the ways that are compared. Made once, under build/bench."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SHARDS = ("--shard-size", "10MB")  # so many that WebDataset's workers have about equally many
VARIANTS = {
    "tiled": (),
    "plain": ("--no-tile",),
    "small": ("--max-side", "500", "--quality", "90"),
}


@dataclass(frozen=True, slots=True)
class Data:
    """pictures: the train split, a folder for each class. packed: a folder with a dataset for each variant."""

    pictures: Path
    packed: Path

    def shards(self, variant: str) -> str:
        return str(self.packed / variant)

    def files(self) -> list[Path]:
        """All pictures, sorted."""
        return jpegs_below(self.pictures)


def jpegs_below(folder: Path) -> list[Path]:
    """Sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpeg", ".jpg"))


def prepared(source: Path) -> Data:
    """Packs what is not packed yet. source: a Kaggle tree or an ImageFolder tree. Ends the program where `pack`, which
    then has said why, does not pack it."""
    kaggle = source / "ILSVRC" / "Data" / "CLS-LOC" / "train"
    pictures = (kaggle if kaggle.is_dir() else source / "train").resolve()
    name = f"{source.resolve().name}-{hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:6]}"
    data = Data(pictures, Path("build/bench") / name)
    for variant, options in VARIANTS.items():
        command = [sys.executable, "-m", "tarn.sharding", "pack", str(source), data.shards(variant), "--split", "train"]
        if code := subprocess.run([*command, *SHARDS, *options], stdout=subprocess.DEVNULL).returncode:
            sys.exit(code)
    return data


def bytes_of(data: Data) -> dict[str, int]:
    """Bytes of the pictures alone, without a tar's headers: as they were (`original`), and of each variant."""
    from tarn.sharding import storage
    from tarn.sharding.format.manifest import parse_index, read_manifest

    found = {"original": sum(path.stat().st_size for path in data.files())}
    for variant in VARIANTS:
        root = data.shards(variant)
        urls = [storage.join(root, shard.index_name) for shard in read_manifest(root).split("train").shards]
        found[variant] = sum(int(parse_index(storage.read_bytes(url), url)["size"].sum()) for url in urls)
    return found
