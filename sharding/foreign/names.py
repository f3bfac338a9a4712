"""Which tars are meant: brace patterns, listings of folders, and the split that a name tells."""

import fnmatch
import re
from collections.abc import Sequence

from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.sources.splitting import split_of_path
from tarn.sharding.storage.persistence import Patience, patiently
from tarn.sharding.storage.urls import scheme_of

DEPTH = 3  # folders and file: <root>/a/b/x.tar
MOST_NAMES = 1_000_000
COMPRESSED = re.compile(r"\.(tgz|tbz2?|txz|tar\.(gz|bz2|xz|zst|zstd|lz4))$", re.IGNORECASE)
RANGE = re.compile(r"(\d+)\.\.(\d+)")
WILDCARD = re.compile(r"[*?\[]")


def is_pattern(url: str) -> bool:
    """Whether it names tars, and not the folder in which they lie."""
    path = storage.local_path(url)
    return ("{" in url or url.endswith(".tar") or has_wildcards(url)) and not (path is not None and path.is_dir())


def has_wildcards(url: str) -> bool:
    """Whether it names files by `*`, `?` or `[`; not where a file is called so, nor in the address of a web server, of
    whom nothing is listed."""
    path = storage.local_path(url)
    return WILDCARD.search(url) is not None and not is_web(url) and not (path is not None and path.exists())


def is_web(url: str) -> bool:
    """Whether a web server holds it, which neither lists nor takes files."""
    return scheme_of(url) in ("http", "https")


def expand(pattern: str) -> list[str]:
    """`x-{00..12}.tar` and `{a,b}.tar`, nested too, as a shell expands them. Raises UsageError for loose braces."""
    head, brace, rest = pattern.partition("{")
    if "}" in head:
        raise UsageError(f"{pattern} has a brace without its other: write {{0000..0012}} or {{a,b}}.")
    if not brace:
        return [pattern]
    inside, tail = choices(rest, pattern)
    tails = expand(tail)
    if len(inside) * len(tails) > MOST_NAMES:
        raise UsageError(f"{pattern} stands for more than {MOST_NAMES:,} names: narrow it.")
    return [head + choice + tail for choice in inside for tail in tails]


def choices(rest: str, pattern: str) -> tuple[list[str], str]:
    """What a brace that was opened before `rest` stands for, and the text behind its end."""
    depth, start, parts = 1, 0, []
    for place, character in enumerate(rest):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if (character == "," and depth == 1) or depth == 0:
            parts.append(rest[start:place])
            start = place + 1
        if depth == 0:
            span = RANGE.fullmatch(parts[0]) if len(parts) == 1 else None
            found = numbers(span) if span is not None else [each for part in parts for each in expand(part)]
            return found, rest[start:]
    raise UsageError(f"{pattern} has a brace without its other: write {{0000..0012}} or {{a,b}}.")


def numbers(span: re.Match[str]) -> list[str]:
    """`08..11` with the zeros, `8..11` without."""
    first, last = int(span[1]), int(span[2])
    if last < first or last - first > MOST_NAMES:
        raise UsageError(f"{{{span[0]}}} is no range of at most {MOST_NAMES:,} numbers: write {{0000..0012}}.")
    padded = any(end.startswith("0") and len(end) > 1 for end in span.groups())
    width = max(map(len, span.groups())) if padded else 0
    return [f"{number:0{width}d}" for number in range(first, last + 1)]


def from_pattern(url: str) -> tuple[str, list[str]]:
    """The folder of a pattern, and what its braces stand for below it. Raises UsageError where they leave no folder."""
    head = re.split(r"[{*?\[]" if has_wildcards(url) else "{", url, maxsplit=1)[0]
    root, slash, _ = head.rpartition("/")
    if root.endswith(":/") or ("://" in url and "://" not in root):
        raise UsageError(f"{url} has braces before its first folder: give one bucket or host at a time.")
    names = [found[len(root) + 1 if slash else 0 :] for found in expand(url)]
    return root or ("/" if slash else "."), names


def is_matched(name: str, pattern: str) -> bool:
    """Folder by folder, as a shell does: `*` stands for no slash."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def listing(root: str) -> dict[str, int]:
    """Names of all files down to DEPTH below a folder, and their sizes in bytes. Raises TarnError naming it."""
    path = storage.local_path(root)
    if path is None:
        found = patiently(lambda: remote_listing(root), root, Patience())
    elif path.is_dir():
        paths = [each for depth in range(DEPTH) for each in path.glob("*/" * depth + "*.*")]
        found = {each.relative_to(path).as_posix(): each.stat().st_size for each in paths if each.is_file()}
    else:
        raise UsageError(f"{root} is not a folder: give a folder of tars, or a pattern like x-{{0000..0012}}.tar.")
    return {name: size for name, size in sorted(found.items()) if not re.search(r"(^|/)\.", name)}


def remote_listing(root: str) -> dict[str, int]:
    store = storage.remote(root)
    below = str(store._strip_protocol(root)).rstrip("/") + "/"
    found = store.find(root, maxdepth=DEPTH, detail=True)
    return {str(path).removeprefix(below): int(info["size"] or 0) for path, info in found.items()}


def split_of(name: str) -> str | None:
    """Of a tar: train, val or test. Raises UsageError for a name with words of two splits."""
    return split_of_path(name, "say which by --split name=pattern")


def chosen(patterns: Sequence[str], names: Sequence[str] | None, root: str) -> dict[str, list[str]]:
    """Names by split, for patterns `name=pattern` with braces, * and ?; names is None where none can be listed."""
    splits: dict[str, list[str]] = {}
    for pattern in patterns:
        split, equals, rest = pattern.partition("=")
        if not equals or not rest or not re.fullmatch(r"[A-Za-z0-9_-]+", split):
            raise UsageError(f"--split={pattern} is not name=pattern: write --split train='train-*.tar'.")
        for text in expand(rest):
            if names is None and re.search(r"[*?\[]", text):
                raise UsageError(f"--split={pattern}: {root} cannot be listed, so write braces, such as {{000..012}}.")
            matching = [text] if names is None else fnmatch.filter(names, text)
            if not matching:
                raise UsageError(f"--split={pattern}: {storage.join(root, text)} is not there: check the pattern.")
            splits.setdefault(split, []).extend(matching)
    times: dict[str, int] = {}
    for name in (name for found in splits.values() for name in found):
        times[name] = times.get(name, 0) + 1
        if times[name] > 1:
            raise UsageError(f"--split takes {name} twice: make the patterns exclude each other.")
    return splits
