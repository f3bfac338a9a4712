"""From the words of a command to units of pictures, in the order of the words."""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tarn.inference.pictures import InHand, NamedPicture, OnDisk
from tarn.inference.sources import Unit
from tarn.inference.sources.listings import is_listing, listed
from tarn.inference.sources.patterns import matching
from tarn.inference.sources.places import picture_at, pictures_below
from tarn.inference.sources.shards import Tar, in_dataset, unit_of
from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.names import expand, has_wildcards, is_web
from tarn.sharding.sources.place import Place
from tarn.sharding.sources.tree import EXTENSIONS

STDIN = "-"
RUN = 1024  # single pictures of a unit
MANIFEST = "manifest.json"
Found = NamedPicture | Tar


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """words: files, folders, patterns, listings, shards (.tar, or the folder of a packed dataset), as paths or URLs,
    and - for the bytes of one picture on standard input. lists: files of paths, - for standard input. split: of packed
    datasets, None for all of them. aside: where shards of a store are copied to, None for the system's own place."""

    words: Sequence[str | os.PathLike[str]] = ()
    lists: Sequence[str] = ()
    split: str | None = None
    aside: Path | None = None

    def units(self) -> list[Unit]:
        """Raises UsageError where something is not there or holds no picture, TarnError where it cannot be read."""
        found = [each for told in self.words for each in self.found(os.fspath(told))]
        found += [each for told in self.lists for each in listed(told)]
        if not found:
            raise UsageError("no picture was given: name files, folders, patterns, listings or shards, or --from-file.")
        return list(grouped(found, self.aside))

    def found(self, told: str) -> Iterable[Found]:
        if told == STDIN:
            return [NamedPicture("stdin", InHand(sys.stdin.buffer.read()))]
        if has_wildcards(told):
            return [each for name in matching(told) for each in self.at(name)]
        names = [told] if "{" not in told or there(told) else expand(told)
        return [each for name in names for each in self.at(name)]

    def at(self, url: str) -> Iterable[Found]:
        """What one path or URL stands for."""
        path = storage.local_path(url)
        if url.lower().endswith(".tar") and not (path is not None and path.is_dir()):
            refuse_absent(url)
            return [Tar(url)]
        if is_listing(url):
            return listed(url)
        is_far = path is None
        if is_far and url.partition("?")[0].lower().endswith(EXTENSIONS):
            return [picture_at(url)]  # whether it is there is found when it is read
        if is_dataset(url):
            return in_dataset(url, self.split)
        if is_far and is_web(url):  # which lists no folders
            return [picture_at(url)]
        refuse_absent(url)
        if path is not None and not path.is_dir():
            return [picture_at(url, is_named=True)]
        if found := pictures_below(url):
            return found
        if tars := [Tar(storage.join(url, name)) for name in storage.names(url, ".tar")]:
            return tars
        raise UsageError(f"{url} holds no pictures ({', '.join(EXTENSIONS)}).")


def there(told: str) -> bool:
    path = storage.local_path(told)
    return path is not None and path.exists()


def is_dataset(url: str) -> bool:
    """A folder that nobody may look into is told of when it is listed."""
    path = storage.local_path(url)
    try:
        return (path / MANIFEST).is_file() if path is not None else storage.exists(storage.join(url, MANIFEST))
    except PermissionError:
        return False


def refuse_absent(url: str) -> None:
    """Raises UsageError."""
    if not storage.exists(url, sure=True):
        raise UsageError(f"{url} is not there: give pictures, folders, patterns, listings or shards (.tar).")


def grouped(found: Iterable[Found], aside: Path | None) -> Iterator[Unit]:
    """Each tar is a unit, single pictures that stand side by side are dealt into runs."""
    for is_tar, some in groupby(found, key=lambda each: isinstance(each, Tar)):
        if is_tar:
            yield from (unit_of(each, aside) for each in some if isinstance(each, Tar))
            continue
        pictures = [each for each in some if isinstance(each, NamedPicture)]
        for first in range(0, len(pictures), RUN):
            yield run_of(pictures[first : first + RUN])


def run_of(pictures: Sequence[NamedPicture]) -> Unit:
    told = "\0".join(f"{each.name}\0{each.label!r}\0{state_of(each.place)}" for each in pictures)
    return Unit(hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest(), lambda: pictures, len(pictures))


def state_of(place: Place) -> str:
    """Changes with what lies there, where that is known without reading it."""
    if isinstance(place, InHand):
        return hashlib.sha256(place.data).hexdigest()
    if not isinstance(place, OnDisk):
        return ""
    try:
        told = os.stat(place.path)  # noqa: PTH116  of a million, a third of the time
    except OSError as error:  # what is wrong is told when it is its turn
        return str(error.errno)
    return f"{told.st_size} {told.st_mtime_ns}"
