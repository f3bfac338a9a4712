"""`python -m tarn.sharding index`: indexes and a manifest for tars of somebody else, which are then read in place.

Nothing is written before every tar was read to its end and everything fits together; the manifest is written last.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.classes import classes_of, numbers_of, read_classes
from tarn.sharding.foreign.labels import Label
from tarn.sharding.foreign.layout import Layout, find_layout
from tarn.sharding.foreign.samples import repeated
from tarn.sharding.foreign.scan import Scan, scan_all
from tarn.sharding.foreign.target import SOURCE, find_target, is_current, read_earlier, refuse_unwritable
from tarn.sharding.format.gathered import gathered_name, publish_gathered
from tarn.sharding.format.leftovers import refuse_changed
from tarn.sharding.format.lock import only_writer
from tarn.sharding.format.manifest import ClassInfo, Manifest, ShardInfo, Split, index_bytes
from tarn.sharding.sources import Problems

WRITING = 16  # index files written at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """out: folder of manifest and indexes, None for beside the tars; splits: patterns `name=pattern`, none to go by the
    names; classes: file of lines `wnid name`; workers: tars read at a time."""

    out: str | os.PathLike[str] | None = None
    splits: tuple[str, ...] = ()
    classes: Path | None = None
    workers: int = 1
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UsageError(f"--workers={self.workers} must be at least 1.")


@dataclass(frozen=True, slots=True)
class Indexed:
    """root: of the manifest; fresh: whether it was written now."""

    root: str
    manifest: Manifest
    fresh: bool


def index(url: str | os.PathLike[str], config: IndexConfig) -> Indexed:
    """Publishes index files and a manifest for the tars at url, or finds that they are up to date.

    Raises TarnError, with nothing published, for tars that are damaged or whose samples do not fit together.
    """
    url = os.fspath(url)
    listed = read_classes(config.classes.expanduser()) if config.classes is not None else None
    digest = hashlib.sha256(repr(listed).encode()).hexdigest() if listed is not None else None
    layout = find_layout(url, config.splits)
    root, data_root = find_target(os.fspath(config.out) if config.out is not None else None, layout)
    before = read_earlier(root)
    if before is not None and not config.overwrite and is_current(before, layout, root, data_root, digest):
        return Indexed(root, before, fresh=False)
    refuse_unwritable(root, layout)
    scans = {scan.tar.name: scan for scan in scan_all(layout.root, layout.tars, config.workers)}
    classes = check(layout, scans, listed, url)
    numbers = numbers_of(classes)
    indexes = {name: index_of(scan, numbers) for name, scan in scans.items()}
    packed = {"source": SOURCE, "classes": digest}
    splits = {
        split: Split(tuple(info_of(scans[tar.name], indexes[tar.name]) for tar in tars), packed)
        for split, tars in layout.splits.items()
    }
    manifest = Manifest(classes, splits, data_root)
    with only_writer(root):
        refuse_changed(root, before)
        publish(root, manifest, {scan.tar.index_name: indexes[name] for name, scan in scans.items()}, before)
    return Indexed(root, manifest, fresh=True)


def check(
    layout: Layout, scans: Mapping[str, Scan], listed: Sequence[ClassInfo] | None, url: str
) -> tuple[ClassInfo, ...]:
    """The classes. Raises one TarnError that counts and names everything that does not fit."""
    problems = Problems()
    tars = {name: scan.samples for name, scan in scans.items() if scan.samples is not None}
    for name, scan in scans.items():
        if scan.samples is None:
            problems.add("damaged tars", f"{name}: {scan.damage}")
            continue
        for kind, key in scan.samples.problems:
            problems.add(kind, f"{name}: {key}")
        seen = len(scan.samples.records) + len(scan.samples.problems)
        if not seen:
            problems.add("tars without a sample", name)
        if scan.tar.told is not None and scan.tar.told != seen:
            problems.add("tars that _info.json counts otherwise", f"{name}: {scan.tar.told} there, {seen} found")
    for split, members in layout.splits.items():
        for key in repeated([tars[tar.name] for tar in members if tar.name in tars]):
            problems.add(f"keys of {split} in several tars", key)
    classes = classes_of(tars, listed, problems)
    problems.raise_if_any(url, "indexed")
    return classes


def index_of(scan: Scan, numbers: Mapping[Label, int]) -> bytes:
    assert scan.samples is not None  # a damaged tar was told of before
    return index_bytes(scan.samples.numbered(numbers))


def info_of(scan: Scan, index: bytes) -> ShardInfo:
    assert scan.samples is not None
    samples = len(scan.samples.records)
    return ShardInfo(scan.tar.name, samples, scan.tar.size, scan.sha256, hashlib.sha256(index).hexdigest())


def publish(root: str, manifest: Manifest, indexes: Mapping[str, bytes], before: Manifest | None) -> None:
    """Index files, then the manifest. An earlier manifest goes first: it does not describe the new index files."""
    url = storage.join(root, "manifest.json")
    if before is not None:
        storage.remove(url)
        for name in {tar.index_name for split in before.splits.values() for tar in split.shards} - indexes.keys():
            storage.remove(storage.join(root, name))
        for gone in before.splits.keys() - manifest.splits.keys():
            storage.remove(storage.join(root, gathered_name(gone)))
    with ThreadPoolExecutor(WRITING) as pool:
        list(pool.map(lambda name: storage.publish(storage.join(root, name), indexes[name]), indexes))
    for name, split in manifest.splits.items():
        publish_gathered(root, name, split, lambda shard: indexes[shard.index_name])
    storage.publish(url, manifest.to_json().encode())
