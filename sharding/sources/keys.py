"""Names of samples inside a tar: unique, ASCII, without dots (WebDataset cuts a name at its first dot), short."""

import hashlib
import re

MOST = 90  # a tar header holds 100 characters; an extension follows the key


def safe_key(text: str) -> str:
    """The text as a key; where characters had to go, or it is too long, a digest of the text keeps it apart."""
    key = re.sub(r"[^A-Za-z0-9_/-]", "_", text)
    harmless = key == re.sub(r"[. ]", "_", text)
    if harmless and len(key) <= MOST:
        return key
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{key[: MOST - 13]}_{digest}"


def unique_keys(texts: list[str]) -> list[str]:
    """A key for each of the different texts; those that would fall together get a digest."""
    keys = [safe_key(text) for text in texts]
    taken: dict[str, int] = {}
    for key in keys:
        taken[key] = taken.get(key, 0) + 1
    return [
        key if taken[key] == 1 else f"{key[: MOST - 13]}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        for key, text in zip(keys, texts, strict=True)
    ]
