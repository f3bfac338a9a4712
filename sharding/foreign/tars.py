"""The tars that lie at a URL, before they are told apart by split."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tarn.sharding.foreign.energon import read_energon
from tarn.sharding.foreign.info import Info, read_info
from tarn.sharding.foreign.names import (
    COMPRESSED,
    from_pattern,
    has_wildcards,
    is_matched,
    is_pattern,
    is_web,
    listing,
)
from tarn.sharding.foreign.wids import is_shard_list, read_shard_list


@dataclass(frozen=True, slots=True)
class Tars:
    """names: below the root, None where nobody can list them; sizes: of those that
    were listed, in bytes; complete: whether the names are all that lie there, not those of a pattern."""

    root: str
    names: Sequence[str] | None
    sizes: Mapping[str, int]
    info: Info | None
    complete: bool


def find_tars(url: str) -> Tars:
    """Of a folder, a pattern with braces and wildcards, or a list of wids. Raises TarnError."""
    if is_shard_list(url):
        told = read_shard_list(url)
        return Tars(told.root, told.names, told.sizes, told.info, complete=False)
    names: list[str] | None = None
    sizes: dict[str, int] = {}
    if is_pattern(url):
        root, names = from_pattern(url)
        if has_wildcards(url):
            sizes = {
                name: size for name, size in listing(root).items() if any(is_matched(name, each) for each in names)
            }
            names = tars_among(sizes)
    else:
        root = url.rstrip("/") or "/"
        if not is_web(root):
            sizes = listing(root)
            names = tars_among(sizes)
    info = read_info(root) or read_energon(root)
    return Tars(root, names, sizes, info, names is not None and not is_pattern(url))


def tars_among(names: Iterable[str]) -> list[str]:
    """With those that are compressed, which are refused."""
    return [name for name in names if name.endswith(".tar") or COMPRESSED.search(name)]
