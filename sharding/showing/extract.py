"""Pictures of a packed dataset back into files, as an ImageFolder tree: <split>/<class>/<key>.<ending>.

Their bytes are those in the shards. Nothing is written outside of the folder, whatever keys and classes are called.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.reading import parted
from tarn.sharding.format.lock import LOCK
from tarn.sharding.looking.dataset import Dataset, Located, Sample
from tarn.sharding.packing.inspection import ending
from tarn.sharding.progress import progress_bar
from tarn.sharding.sources.keys import spelled

REFUSED = '/\\:*?"<>|'  # by some file system
LONGEST = 200  # bytes of a file's name, of the 255 that file systems take


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractConfig:
    """splits, classes (folder names): None for all. limit: pictures of each split, the first ones of its shards."""

    splits: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit={self.limit} must be at least 1.")


def extract(dataset: Dataset, out: Path, config: ExtractConfig) -> dict[str, int]:
    """Pictures written or there already, by split. Files are written whole, so the same command goes on after a kill.

    Raises TarnError where a file of the same name is another one, and for a picture whose CRC-32 is not the index's.
    """
    if (out / "manifest.json").exists() or (out / LOCK).exists():
        raise UsageError(f"{out} holds a packed dataset: choose another folder to extract to.")
    wanted = dataset.labels_of(config.classes) if config.classes is not None else None
    counts: dict[str, int] = {}
    for split in config.splits if config.splits is not None else tuple(dataset.manifest.splits):
        left = config.limit if config.limit is not None else dataset.split(split).samples
        counts[split] = 0
        with progress_bar(min(left, dataset.split(split).samples), f"extracting {split}", "img") as bar:
            for places in chosen(dataset, split, wanted, left):
                for sample in dataset.read(places):
                    write(dataset, out, sample)
                    bar.update(1)
                counts[split] += len(places)
    return counts


def chosen(dataset: Dataset, split: str, labels: set[int] | None, left: int) -> Iterator[list[Located]]:
    """Shard by shard, until so many are found."""
    for shard in dataset.split(split).shards:
        places = [it for it in dataset.located(split, shard) if labels is None or it.label in labels][:left]
        left -= len(places)
        if places:
            yield places
        if not left:
            return


def write(dataset: Dataset, out: Path, sample: Sample) -> None:
    it = sample.located
    if zlib.crc32(sample.data) != it.crc32:
        raise TarnError(f"{dataset.url(it.shard)}: sample {it.row} does not have the CRC-32 of its index: verify it.")
    path = out / target(it.split, dataset.class_of(it.label), sample)
    try:
        if path.exists():
            if path.read_bytes() != sample.data:
                raise TarnError(f"{path} is there already and is another file: choose another folder.")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.tmp")
        try:
            aside.write_bytes(sample.data)  # not flushed to the medium each: a million small files would take hours
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise TarnError(f"{path} cannot be written ({storage.reason(error)}): check space and permissions.") from error


def target(split: str, wnid: str, sample: Sample) -> Path:
    """Below the folder. A key that begins with its class, as those of ImageFolder trees do, loses it."""
    key, kind = parted(sample.name)
    short = key.removeprefix(f"{spelled(wnid)}/").removeprefix(f"{wnid}/") or key
    return Path(harmless(split), harmless(wnid), f"{harmless(short)}.{ending(sample.data, f'.{harmless(kind)}')}")


def harmless(text: str) -> str:
    """As a name of a file in a folder; a digest keeps apart what had to be changed."""
    name = "".join(letter if letter.isprintable() and letter not in REFUSED else "_" for letter in text)
    name = f"_{name[1:]}" if name.startswith(".") else name
    if name == text and len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{name.encode()[: LONGEST - 13].decode(errors='ignore')}_{digest}"
