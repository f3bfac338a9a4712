"""`python -m tarn.sharding index`: indexes and a manifest for tars of somebody else, which are then read in place.

Nothing is written before every tar was read to its end and everything fits together; the manifest is written last.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.agreement import check
from tarn.sharding.foreign.classes import numbers_of
from tarn.sharding.foreign.labels import Label
from tarn.sharding.foreign.layout import find_layout
from tarn.sharding.foreign.publishing import index_names, mend, publish, tidy
from tarn.sharding.foreign.reading import Reading
from tarn.sharding.foreign.samples import Samples
from tarn.sharding.foreign.scan import Scan, scan_all
from tarn.sharding.foreign.target import (
    find_target,
    is_current,
    other_indexes,
    read_earlier,
    refuse_unfinished,
    refuse_unwritable,
)
from tarn.sharding.format.leftovers import refuse_changed
from tarn.sharding.format.lock import only_writer
from tarn.sharding.format.manifest import INDEXED, Manifest, ShardInfo, Split, index_bytes
from tarn.sharding.sources.class_list import read_classes


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """out: folder of manifest and indexes, None for beside the tars; splits: patterns `name=pattern`, none to go by the
    names; classes: file of lines `wnid name`; picture, label: endings of the members that are a sample's picture and
    label, where they are not the usual ones (see Reading); workers: tars read at a time."""

    out: str | os.PathLike[str] | None = None
    splits: tuple[str, ...] = ()
    classes: Path | None = None
    picture: str | None = None
    label: str | None = None
    workers: int = 1
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UsageError(f"--workers={self.workers} must be at least 1.")


@dataclass(frozen=True, slots=True)
class Indexed:
    """root: of the manifest; fresh: whether it was written now; notes: what somebody should know of the tars."""

    root: str
    manifest: Manifest
    fresh: bool
    notes: tuple[str, ...] = ()


def index(url: str | os.PathLike[str], config: IndexConfig) -> Indexed:
    """Publishes index files and a manifest for the tars at url, or finds that they are up to date.

    Raises TarnError, with nothing published, for tars that are damaged or whose samples do not fit together.
    """
    url, reading = os.fspath(url), Reading.chosen(config.picture, config.label)
    listed = read_classes(config.classes.expanduser()) if config.classes is not None else None
    digest = hashlib.sha256(repr(listed).encode()).hexdigest() if listed is not None else None
    layout = find_layout(url, config.splits)
    root, data_root = find_target(os.fspath(config.out) if config.out is not None else None, layout)
    before = read_earlier(root)
    if before is not None and not config.overwrite and is_current(before, layout, root, data_root, digest, reading):
        mend(root, before)
        return Indexed(root, before, fresh=False)
    refuse_unfinished(root)
    refuse_unwritable(root, layout)
    scans = {scan.tar.name: scan for scan in scan_all(layout.root, layout.tars, config.workers, reading)}
    classes, notes = check(layout, scans, listed, url)
    numbers = numbers_of(classes)
    indexes = {name: index_of(scan, numbers) for name, scan in scans.items()}
    packed = {"source": INDEXED, "classes": digest, **reading.packed()}
    with only_writer(root):
        refuse_changed(root, before)
        tidy(root)
        shards = shards_of(root, scans, indexes, before, other_indexes(root, layout))
        splits = {
            split: Split(tuple(shards[tar.name] for tar in tars), packed) for split, tars in layout.splits.items()
        }
        manifest = Manifest(classes, splits, data_root)
        publish(root, manifest, {shards[name].index_name: raw for name, raw in indexes.items()}, before)
    return Indexed(root, manifest, fresh=True, notes=notes)


def shards_of(
    root: str,
    scans: Mapping[str, Scan],
    indexes: Mapping[str, bytes],
    before: Manifest | None,
    others: frozenset[str],
) -> dict[str, ShardInfo]:
    """By the tar's name. others: names that are another program's."""
    digests = {name: hashlib.sha256(raw).hexdigest() for name, raw in indexes.items()}
    names = index_names(root, digests, before, others)
    shards = {}
    for name, scan in scans.items():
        samples = samples_of(scan)
        shards[name] = ShardInfo(name, len(samples.records), scan.tar.size, scan.sha256, digests[name], names[name])
    return shards


def index_of(scan: Scan, numbers: Mapping[Label, int]) -> bytes:
    return index_bytes(samples_of(scan).numbered(numbers))


def samples_of(scan: Scan) -> Samples:
    assert scan.samples is not None  # a damaged tar was told of before
    return scan.samples
