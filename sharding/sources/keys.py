"""Names of samples inside a tar: unique, ASCII, without dots (WebDataset cuts a name at its first dot), short."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence

MOST = 90  # a tar header holds 100 characters; an extension follows the key


def safe_key(text: str) -> str:
    """The text as a key; where characters had to go, or it is too long, a digest of the text keeps it apart.

    No part between slashes is empty: `/a` would be an absolute name in a tar, and `a/` a hidden file, no sample.
    """
    key = spelled(text)
    harmless = key == re.sub(r"[. ]", "_", text)
    if harmless and len(key) <= MOST:
        return key
    return f"{key[: MOST - 13]}_{digest_of(text)}"


def digest_of(text: str) -> str:
    """Of names that are no UTF-8 (PEP 383), and of the lone surrogates that JSON can hold, too."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).hexdigest()[:12]


def spelled(text: str) -> str:
    """With the letters of keys alone; other texts may be spelled so too."""
    return "/".join(part or "_" for part in re.sub(r"[^A-Za-z0-9_/-]", "_", text).split("/"))


def unique_keys(texts: list[str]) -> list[str]:
    """A key for each of the different texts; those that would fall together get a digest."""
    keys = [safe_key(text) for text in texts]
    if len(set(keys)) == len(keys):
        return keys
    taken: dict[str, int] = {}
    for key in keys:
        taken[key] = taken.get(key, 0) + 1
    return [
        key if taken[key] == 1 else f"{key[: MOST - 13]}_{digest_of(text)}"
        for key, text in zip(keys, texts, strict=True)
    ]


def keys_of_paths(paths: Sequence[str], others: Callable[[int], str]) -> list[str]:
    """Keys of files that lie anywhere: their names without endings, as in ImageNet's tree, where those are unique; else
    with the folders below the one that holds all, and with the ending where that is not enough. others: what tells a
    path apart that comes again. Where the whole lies makes no difference."""
    stems = [stem(path.rpartition("/")[2]) for path in paths]
    times = Counter(stems)
    if len(times) == len(stems):
        return unique_keys(stems)
    folders = [path[: path.rfind("/") + 1] for path in paths]
    above = os.path.commonprefix(folders).rfind("/") + 1  # noqa: RUF071  cut at a slash; URLs are among them
    texts = [text if times[text] == 1 else stem(path)[above:] for text, path in zip(stems, paths, strict=True)]
    for ending in ("", "", *"#" * (len(set(paths)) < len(paths))):
        times = Counter(texts)
        texts = [
            text if times[text] == 1 else path[above:] + (ending and f"{ending}{others(number)}")
            for number, (text, path) in enumerate(zip(texts, paths, strict=True))
        ]
    return unique_keys(texts)


def stem(path: str) -> str:
    return os.path.splitext(path)[0]  # noqa: PTH122  a million Path objects take half a gigabyte
