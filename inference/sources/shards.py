"""Tars of samples: of a packed dataset, of others, or of loose pictures; what a store has is copied to a disk for a
while, and read from there."""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tarn.inference.downloading import download
from tarn.inference.pictures import NamedPicture, Unreadable
from tarn.inference.sources import Unit
from tarn.sharding import storage
from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.headers import DamageError
from tarn.sharding.archives.jumps import Jumps, TarMember
from tarn.sharding.archives.tar import Member, walk
from tarn.sharding.foreign.labels import Label, label_of, read_json
from tarn.sharding.foreign.reading import Reading, parted
from tarn.sharding.format.manifest import ClassInfo, read_manifest
from tarn.sharding.sources.tree import EXTENSIONS

PLAIN = Reading()


@dataclass(frozen=True, slots=True)
class Tar:
    """url: where it lies; classes: of its numbers, where a manifest tells them; count: of its samples."""

    url: str
    classes: tuple[ClassInfo, ...] | None = None
    count: int | None = None


def in_dataset(root: str, split: str | None) -> list[Tar]:
    """The shards of one split, or of all in the order of their names. Raises UsageError where it has no such split."""
    manifest = read_manifest(root)
    splits = [split] if split is not None else sorted(manifest.splits)
    tars = manifest.shards_root(root)
    return [
        Tar(storage.join(tars, shard.name), manifest.classes, shard.samples)
        for name in splits
        for shard in manifest.split(name).shards
    ]


def unit_of(tar: Tar, aside: Path | None) -> Unit:
    """Its key changes with its size, the time of its last change, and the classes that its numbers count. Raises
    TarnError where it cannot be looked at."""
    classes = hashlib.sha256("\0".join(info.wnid for info in tar.classes or ()).encode()).hexdigest()
    return Unit(f"{tar.url}\0{storage.state(tar.url)}\0{classes}", lambda: pictures_in(tar, aside), tar.count)


def pictures_in(tar: Tar, aside: Path | None) -> list[NamedPicture]:
    """A damaged one gives its sound pictures, and one that cannot be read in place of the others. Raises TarnError
    where it cannot be copied or opened."""
    archive, found = archive_of(tar.url, aside), list[NamedPicture]()
    try:
        for picture in samples(tar, archive):
            found.append(picture)
    except DamageError as error:
        found.append(NamedPicture(tar.url, Unreadable(f"{tar.url} is not a whole tar ({error})")))
    return found


def archive_of(url: str, aside: Path | None) -> Archive:
    """A copy goes when nobody has the archive any more."""
    path = storage.local_path(url)
    if path is not None:
        return Archive(str(path))
    folder = Path(tempfile.mkdtemp(prefix="tarn-", dir=aside))
    archive = Archive(str(folder / "copy.tar"))
    weakref.finalize(archive, shutil.rmtree, folder, ignore_errors=True)
    download(url, folder / "copy.tar")
    return archive


def samples(tar: Tar, archive: Archive) -> Iterator[NamedPicture]:
    """Members that have a picture's ending, with the label that their sample tells. Raises DamageError."""
    key, members = "", list[Member]()
    try:
        for member in walk(Jumps(archive, 0, archive.size), PLAIN.wants):
            of, ending = parted(member.name)
            if of != key:
                yield from sample(tar, archive, key, members)
                key, members = of, []
            if ending:
                members.append(member)
    finally:
        yield from sample(tar, archive, key, members)


def sample(tar: Tar, archive: Archive, key: str, members: Sequence[Member]) -> Iterator[NamedPicture]:
    parts = {parted(member.name)[1]: member for member in members}
    told = read_json(parts["json"].data) if "json" in parts else {}
    label = in_words(label_of(key, parts, told, PLAIN), tar.classes)
    for member in members:
        if member.name.lower().endswith(EXTENSIONS):
            name = member.name.removeprefix("./")
            yield NamedPicture(f"{tar.url}/{name}", TarMember(archive, name, member.offset, member.size), label)


def in_words(label: Label | None, classes: Sequence[ClassInfo] | None) -> Label | None:
    """The wnid of a number that counts the classes of a manifest, for the model may number them otherwise."""
    if classes is not None and isinstance(label, int) and 0 <= label < len(classes):
        return classes[label].wnid
    return label
