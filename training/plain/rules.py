"""What a pickle may ask for, and what it gets in its place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tarn.sharding.errors import TarnError

Call = Callable[..., Any]


class RefusedError(TarnError):
    """What a file wants, and may not."""


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
