"""The files for other libraries, written beside a dataset or renewed."""

import hashlib
from collections.abc import Iterable, Iterator

from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.format.index import read_index
from tarn.sharding.format.lock import only_writer
from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.sharding.interchange.croissant import CROISSANT as CROISSANT_JSON
from tarn.sharding.interchange.croissant import croissant_json
from tarn.sharding.interchange.dali import dali_index, dali_name, ending
from tarn.sharding.interchange.described import CROISSANT, DALI, ENERGON, INFO, KINDS, NAME, Described, digest_of
from tarn.sharding.interchange.energon import energon_index, energon_meta, energon_name
from tarn.sharding.interchange.info import INFO as INFO_JSON
from tarn.sharding.interchange.info import info_json
from tarn.sharding.looking.members import samples_of
from tarn.sharding.looking.windows import Windows
from tarn.sharding.progress import progress_bar


def describe(root: str, kinds: Iterable[str]) -> Described:
    """Writes the kinds asked for and renews those that were there, of the dataset as it is now; removes what earlier
    ones wrote and is not of it. Reads the headers of the tars for DALI and Energon, else the manifest alone.

    Raises UsageError where nothing is to be written, and where somebody else's file has the name of one.
    """
    with only_writer(root):
        return describe_alone(root, kinds)


def describe_again(root: str, kinds: Iterable[str]) -> tuple[str, ...]:
    """After a packing: the kinds asked for and those that were there; which ones."""
    before, kinds = Described.read(root), tuple(kinds)
    if not kinds and not before.kinds:
        return ()
    if before.is_of(read_manifest(root)) and set(kinds) <= set(before.kinds):
        return before.kinds
    return describe(root, kinds).kinds


def describe_alone(root: str, kinds: Iterable[str]) -> Described:
    """For who has the lock."""
    manifest, before = read_manifest(root), Described.read(root)
    wanted = tuple(kind for kind in KINDS if kind in {*kinds, *before.kinds})
    refuse(root, manifest, wanted)
    files = dict(contents(root, manifest, wanted))
    for name in files:
        if name not in before.files and storage.exists(url := storage.join(root, name)):
            raise UsageError(
                f"{url} is there already and not listed in {NAME}, so it is somebody else's: move it away."
            )
    listed = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    # what comes and what was, so that a kill leaves nothing unnamed
    storage.publish(storage.join(root, NAME), Described(wanted, {**before.files, **listed}).to_json())
    for name, data in files.items():
        if before.files.get(name) != listed[name] or not storage.exists(storage.join(root, name)):
            storage.publish(storage.join(root, name), data)
    for name in before.files.keys() - files.keys():
        storage.remove(storage.join(root, name))
    done = Described(wanted, listed, digest_of(manifest))
    storage.publish(storage.join(root, NAME), done.to_json())
    return done


def refuse(root: str, manifest: Manifest, wanted: tuple[str, ...]) -> None:
    if not wanted:
        raise UsageError(f"say what {root} is described for: {', '.join(f'--{kind}' for kind in KINDS)}.")
    if manifest.data_root is not None:
        raise UsageError(f"{root} holds the index of tars that lie in {manifest.data_root}: describe those there.")


def contents(root: str, manifest: Manifest, wanted: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Files by name below the dataset."""
    endings = set[str]()  # of pictures
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    if set(wanted) - {INFO}:
        with progress_bar(sum(shard.samples for shard in shards), "reading headers", "img") as bar:
            for shard in shards:
                records = read_index(root, shard)
                samples, pictures = list(samples_of(Windows(root), shard, records)), set(records["offset"].tolist())
                endings |= {ending(part.name) for _, parts in samples for part in parts if part.offset in pictures}
                if DALI in wanted:
                    yield dali_name(shard.name), dali_index(samples)
                if ENERGON in wanted:
                    yield energon_name(shard.name), energon_index(samples)
                bar.update(shard.samples)
    if ENERGON in wanted:
        yield from energon_meta(manifest, endings).items()
    if INFO in wanted:
        yield INFO_JSON, info_json(manifest)
    if CROISSANT in wanted:
        yield CROISSANT_JSON, croissant_json(manifest, root, endings)
