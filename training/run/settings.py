"""Every setting of a run with its type, its default and its meaning, read from the dataclasses themselves.

    python -m tarn.training.run.settings > docs/settings.md

The meaning is the text beneath a field. `fit --help` and the page of the documents are made of the same.
"""

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tarn.training.run.config import RunConfig


@dataclass(frozen=True, slots=True)
class Setting:
    """key: as on the command line, such as optim.lr. kind, default: in words and in YAML."""

    key: str
    kind: str
    default: str
    meaning: str


def settings_of(kind: type, prefix: str = "") -> Iterator[Setting]:
    """In the order of the fields, those of inner dataclasses in their place. Raises KeyError for one without a text."""
    hints, texts = typing.get_type_hints(kind), texts_of(kind)
    for field in dataclasses.fields(kind):
        hint, key = hints[field.name], f"{prefix}{field.name}"
        if dataclasses.is_dataclass(hint):
            yield from settings_of(typing.cast(type, hint), f"{key}.")
            continue
        factory = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        yield Setting(key, in_words(hint), in_yaml(default), texts[field.name])


def texts_of(kind: type) -> dict[str, str]:
    """Of each field of a dataclass, the string that stands right beneath it."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in itertools.pairwise(tree.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            assert isinstance(below.value, ast.Constant)
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found


def in_words(hint: Any) -> str:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        *arms, last = map(in_words, typing.get_args(hint))
        return f"{', '.join(arms)} or {last}"
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(typing.get_args(hint))
    if typing.get_origin(hint) is tuple and Ellipsis in typing.get_args(hint):
        return "a list"
    if typing.get_origin(hint) is tuple:
        return f"{len(typing.get_args(hint))} numbers"
    if typing.get_origin(hint) is dict:
        return "a mapping"
    return {
        int: "a whole number", float: "a number", bool: "true or false", str: "a text", type(None): "null",
    }[hint]  # fmt: skip


def in_yaml(value: Any) -> str:
    told = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(told, default_flow_style=True, width=1000).removesuffix("\n")
    return re.sub(r"\n\.\.\.$", "", text).replace("'", "")


def as_help(width: int = 100) -> str:
    """For a terminal: a setting, its default, and the meaning beneath."""
    lines = []
    for each in settings_of(RunConfig):
        lines.append(f"  --{each.key}={each.default}  ({each.kind})")
        lines += textwrap.wrap(each.meaning, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def as_page() -> str:
    """In Markdown, a table for each part of the config."""
    parts: dict[str, list[Setting]] = {}
    for each in settings_of(RunConfig):
        parts.setdefault(each.key.rpartition(".")[0], []).append(each)
    lines = [
        "# Settings of a run",
        "",
        "Made by `.venv/bin/python -m tarn.training.run.settings > docs/settings.md`.",
        "",
    ]
    lines += ["In a YAML file under `--config`, or on the command line as `--key=value`."]
    for part, settings in parts.items():
        lines += ["", f"## {part or 'The run'}", "", "| setting | default | what it is |", "|---|---|---|"]
        lines += [
            f"| `{each.key}` | `{each.default}` | {each.meaning} ({each.kind}) |".replace(" | in", " \\| in")
            for each in settings
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_page(), end="")
