"""What a pickle may ask for, and what it gets in its place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tarn.sharding.errors import TarnError

Call = Callable[..., Any]
FEW = 16


class RefusedError(TarnError):
    """What a file wants, and may not."""


def shown(value: Any) -> str:
    """For a sentence. Of what holds other things the kind alone: a few bytes of a pickle may stand for 2^60 of them."""
    if isinstance(value, list | tuple) and len(value) <= FEW and all(map(is_number, value)):
        return repr(value)
    if isinstance(value, int) and not is_number(value):
        return "a number beyond all measure"
    return repr(value)[:80] if isinstance(value, str | int | float | None) else type(value).__name__


def is_number(value: Any) -> bool:
    return isinstance(value, int) and abs(value) < 2**64


@dataclass(frozen=True, slots=True)
class Name:
    """module.name, as a pickle asks for it."""

    name: str


@dataclass(slots=True)
class Thing:
    """An object of a class that is listed: never made, its state kept as it was told."""

    name: str
    state: Any = None


@dataclass(frozen=True, slots=True)
class Rules:
    """calls: what stands in for functions, by name. things: classes whose objects are kept as Things. names: others,
    that are told and not used. stored: stands in for what lies outside the pickle, None where nothing may."""

    calls: Mapping[str, Call]
    things: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    stored: Call | None = None
    renamed: Mapping[str, str] | None = None  # modules
