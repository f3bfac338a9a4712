"""From YAML and command line to a dataclass. Unknown keys and wrong types are refused by name."""

import dataclasses
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tarn.sharding.errors import UsageError
from tarn.sharding.values import parse_value
from tarn.training.unknown_keys import guess

T = TypeVar("T")

SECRET = re.compile(r"secret|token|password|credential|account_key|sas|^key$", re.IGNORECASE)


class UnknownKeyError(UsageError):
    def __init__(self, key: str, told: str) -> None:
        super().__init__(told)
        self.key = key


def load_config(kind: type[T], file: Path | None, overrides: Sequence[str]) -> T:
    """The dataclass `kind` from a YAML file and `--a.b=value` words. Raises UsageError naming file, key and value."""
    tree: dict[str, Any] = read_yaml(file) if file else {}
    try:
        build(kind, tree, "", str(file))  # so that a mistake in the file is told as the file's
        for word in overrides:
            key, text = split_override(word)
            plant(tree, key, parse_value(text))
        return build(kind, tree, "", "the command line")
    except UnknownKeyError as error:
        meant = guess(kind, error.key)
        raise UsageError(f"{error} Was {meant!r} meant?" if meant else str(error)) from None


def read_yaml(file: Path) -> dict[str, Any]:
    try:
        told = yaml.safe_load(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"the config {file} is not there: give an existing YAML file.") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"the config {file} cannot be read ({reason}): give an existing YAML file.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"the config {file} is not YAML ({' '.join(str(error).split())}).") from error
    if told is None:
        return {}
    if not isinstance(told, dict):
        raise UsageError(f"the config {file} holds a {type(told).__name__}, expected a mapping of keys.")
    return told


def split_override(word: str) -> tuple[str, str]:
    key, equals, text = word.removeprefix("--").partition("=")
    if not word.startswith("--") or not equals or not key:
        raise UsageError(f"{word!r} is not an override: write --key.sub=value, such as --optim.lr=0.1.")
    return key, text


def plant(tree: dict[str, Any], key: str, value: Any) -> None:
    *path, leaf = key.split(".")
    for part in path:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--{key}: {part} is a single value, it has no key below it.")
        tree = inner
    tree[leaf] = value


def build(kind: type[T], tree: Mapping[str, Any], prefix: str, where: str) -> T:
    """An instance of the dataclass from a tree of plain values."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    values = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if name not in names:
            raise UnknownKeyError(key, f"{where}: the key {key!r} is unknown, known here are {', '.join(names)}.")
        values[name] = coerce(hints[name], value, key, where)
    missing = [field.name for field in dataclasses.fields(kind) if is_needed(field) and field.name not in values]  # type: ignore[arg-type]
    if missing:
        raise UsageError(f"{where}: {prefix}{missing[0]} is not told, and has no default.")
    return kind(**values)


def is_needed(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def coerce(hint: Any, value: Any, key: str, where: str) -> Any:
    """The value as the type of its field, or UsageError."""
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise refusal(key, value, "a mapping of keys", where)
        return build(typing.cast(type, hint), value, f"{key}.", where)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        arms = typing.get_args(hint)
        words = [word for arm in arms if typing.get_origin(arm) is typing.Literal for word in typing.get_args(arm)]
        words += [None] if type(None) in arms else []
        if value in words:
            return value
        try:
            return coerce(arm_for(arms, value), value, key, where)
        except UsageError as error:
            *most, last = ("null" if word is None else word for word in words)
            raise UsageError(f"{', '.join([str(error).removesuffix('.'), *most])} or {last}.") from None
    if origin is dict:
        if not isinstance(value, Mapping):
            raise refusal(key, value, "a mapping of keys", where)
        return dict(value)
    if origin is tuple:
        return coerce_tuple(typing.get_args(hint), value, key, where)
    return coerce_scalar(hint, value, key, where)


def arm_for(arms: tuple[Any, ...], value: Any) -> Any:
    """Of a union: that of several values for a list, where there is one, else the first."""
    tuples = [arm for arm in arms if typing.get_origin(arm) is tuple]
    return tuples[0] if tuples and isinstance(value, list | tuple) else arms[0]


def coerce_scalar(hint: Any, value: Any, key: str, where: str) -> Any:
    if hint is float and not isinstance(value, bool):
        try:
            return float(value)  # YAML 1.1 reads 5e-5 as a string
        except (TypeError, ValueError):
            raise refusal(key, value, "a number", where) from None
    if hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if hint is str and isinstance(value, bool):
        return "on" if value else "off"  # YAML 1.1 reads off as false
    if type(value) is not hint:
        expected = {int: "a whole number", bool: "true or false", str: "a text", float: "a number"}[hint]
        raise refusal(key, value, expected, where)
    return value


def coerce_tuple(arms: tuple[Any, ...], value: Any, key: str, where: str) -> tuple[Any, ...]:
    items = value if isinstance(value, list | tuple) else None
    if len(arms) == 2 and arms[1] is Ellipsis:
        if items is None:
            raise refusal(key, value, "a list, such as [a, b]", where)
        return tuple(coerce(arms[0], item, key, where) for item in items)
    if items is None or len(items) != len(arms):
        raise refusal(key, value, f"a list of {len(arms)} values", where)
    return tuple(coerce(arm, item, key, where) for arm, item in zip(arms, items, strict=True))


def refusal(key: str, value: Any, expected: str, where: str) -> UsageError:
    return UsageError(f"{where}: {key}={value!r} is not {expected}.")


def refuse_url(folder: str | Path, key: str) -> None:
    """Raises UsageError for the URL of a store where a folder of this machine is meant."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(folder)):  # a Path has one of the two slashes
        raise UsageError(f"{key}={str(folder)!r} is a URL: give a local folder, and copy it to the store afterwards.")


def to_yaml(config: Any) -> str:
    """The whole config as YAML that load_config reads back; credentials of a store are left out."""
    return yaml.safe_dump(plain(dataclasses.asdict(config)), sort_keys=False)


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items() if not SECRET.search(name)}
    return [plain(inner) for inner in value] if isinstance(value, tuple) else value
