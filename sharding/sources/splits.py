"""The words by which people call their splits, in folders, in names of tars and in _info.json: one list for all."""

import re

SYNONYMS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
WORD = re.compile(r"[A-Za-z]+")


def split_called(word: str) -> str | None:
    """train, val or test for a whole name, in whatever case."""
    return SYNONYMS.get(word.lower())


def splits_within(name: str) -> set[str]:
    """Those that a longer name tells: `x-train-0003` and `trainset2017` are of train, `valve-0003` of none."""
    words = (word.removesuffix("set") or word for word in map(str.lower, WORD.findall(name)))
    return {SYNONYMS[word] for word in words if word in SYNONYMS}
