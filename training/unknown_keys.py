"""Which key may have been meant by one that is unknown."""

import dataclasses
import difflib
import typing
from collections.abc import Iterator


def guess(kind: type, key: str) -> str | None:
    """The dotted key of the dataclass that is most like it: the same last word elsewhere, or a slip of the pen."""
    known = list(dotted_keys(kind))
    word = key.rpartition(".")[2].replace("-", "_")
    elsewhere = [name for name in known if name.rpartition(".")[2] == word]
    if elsewhere:
        return elsewhere[0]
    if alike := difflib.get_close_matches(key, known, 1, 0.8):
        return alike[0]
    words = {name.rpartition(".")[2]: name for name in reversed(known)}
    return words[alike[0]] if (alike := difflib.get_close_matches(word, words, 1, 0.75)) else None


def dotted_keys(kind: type, prefix: str = "") -> Iterator[str]:
    """Those of its sections, and of all in them."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        yield f"{prefix}{field.name}"
        if dataclasses.is_dataclass(hint):
            yield from dotted_keys(typing.cast(type, hint), f"{prefix}{field.name}.")
