"""The tars of every split, as they lie at a URL, before any of them is opened."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.names import COMPRESSED, chosen, split_of
from tarn.sharding.foreign.tars import Tars, find_tars
from tarn.sharding.format.manifest import index_name_of
from tarn.sharding.sizes import counted
from tarn.sharding.storage.persistence import Patience, patiently

ASKING = 16  # sizes asked for at a time
BY_PATTERN = "say it by --split train='<pattern>' --split val='<pattern>'"


@dataclass(frozen=True, slots=True)
class Tar:
    """name: below the root; size in bytes; told: its samples as a list of tars says, None where none does."""

    name: str
    size: int
    told: int | None

    @property
    def index_name(self) -> str:
        return index_name_of(self.name)


@dataclass(frozen=True, slots=True)
class Layout:
    """Tars by split, sorted by name. root: URL of the folder in which they lie; a local one is absolute."""

    root: str
    splits: Mapping[str, tuple[Tar, ...]]

    @property
    def tars(self) -> list[Tar]:
        return [tar for tars in self.splits.values() for tar in tars]


def find_layout(url: str, patterns: Sequence[str]) -> Layout:
    """patterns: of --split, none to go by _info.json or by names. Raises TarnError where it does not fit together."""
    return layout_of(find_tars(url), patterns)


def layout_of(tars: Tars, patterns: Sequence[str], whole: str | None = None, advice: str = BY_PATTERN) -> Layout:
    """whole: the split of which all are, where no name tells any. Raises TarnError, with advice where it is names that
    tell no split."""
    root, names, info = tars.root, tars.names, tars.info
    splits = chosen(patterns, names, root) if patterns else told_splits(tars, whole, advice)
    if "test" in splits and "val" not in splits and not patterns:
        splits["val"] = splits.pop("test")
    refuse_names([name for found in splits.values() for name in found], root)
    asked = sizes_of(root, [name for found in splits.values() for name in found if name not in tars.sizes])
    sizes = {**tars.sizes, **asked}
    counts = info.counts if info is not None else {}
    return Layout(
        absolute(root),
        {
            split: tuple(Tar(name, sizes[name], counts.get(name)) for name in sorted(found))
            for split, found in sorted(splits.items())
        },
    )


def told_splits(tars: Tars, whole: str | None, advice: str) -> dict[str, list[str]]:
    """By _info.json, else by what the names tell."""
    root, names, info = tars.root, tars.names, tars.info
    if info is not None and (names is None or tars.complete):
        if names is not None:
            info.compare(names, root)
        return {split: list(found) for split, found in info.splits.items()}
    if names is None:
        raise UsageError(f"{root} cannot be listed: give a pattern such as {root}/train-{{0000..0012}}.tar.")
    splits: dict[str, list[str]] = {}
    known, nameless = info.split_by_name() if info is not None else {}, []
    for name in names:
        split = known.get(name) or split_of(name)
        if split is None:
            nameless.append(name)
        else:
            splits.setdefault(split, []).append(name)
    if nameless and not splits and whole is not None:
        return {whole: nameless}
    if nameless:
        more = f" and {len(nameless) - 10} more" if len(nameless) > 10 else ""
        told = f"{counted(len(nameless), 'tar')} whose {'names tell' if len(nameless) > 1 else 'name tells'} no split"
        raise TarnError(f"{root} holds {told} ({', '.join(nameless[:10])}{more}): {advice}.")
    return splits


def refuse_names(names: Sequence[str], root: str) -> None:
    """Raises TarnError for no tars at all, compressed ones, and names that a manifest cannot hold."""
    if not names:
        raise TarnError(f"{root} holds no tars (*.tar, train-*.tar, val/*.tar and the like): check the URL.")
    for name in names:
        if COMPRESSED.search(name):
            raise UsageError(
                f"{storage.join(root, name)} is compressed, so it cannot be read at random: unpack it to a plain .tar."
            )
        if not name.endswith(".tar") or not name.isprintable():
            raise UsageError(f"{storage.join(root, ascii(name)[1:-1])} is not called *.tar: choose tars only.")
    if len(set(names)) != len(names):
        raise UsageError(f"{root}: a tar is named twice: make the pattern name each once.")


def sizes_of(root: str, names: Sequence[str]) -> dict[str, int]:
    with ThreadPoolExecutor(ASKING) as pool:
        return dict(zip(names, pool.map(lambda name: size_of(storage.join(root, name)), names), strict=True))


def size_of(url: str) -> int:
    if storage.local_path(url) is not None:
        return storage.size(url)
    size = patiently(lambda: storage.remote(url).size(url), url, Patience())
    if size is None:
        raise TarnError(f"{url}: its server does not tell its size: copy the tars to a disk or a store.")
    return int(size)


def absolute(root: str) -> str:
    """A local folder's whole path, with its links left as they are, which resolve() would follow."""
    path = storage.local_path(root)
    return root if path is None else os.path.abspath(path)  # noqa: PTH100
