"""The words in which every command that reads or writes stores is told of them."""

import argparse
from collections.abc import Sequence
from typing import Any

import yaml

from tarn.sharding.errors import UsageError
from tarn.sharding.storage.told import DEADLINE, Store
from tarn.sharding.values import parse_value


def add_words(parser: argparse.ArgumentParser) -> None:
    """--storage-option, --client, --deadline, as data.storage_options, data.client, data.deadline of `fit`."""
    words = parser.add_argument_group("object stores", "credentials are best left to the stores' environment variables")
    words.add_argument(
        "--storage-option",
        "--storage-options",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of the store, in fsspec's words, such as anon=true or client_kwargs.endpoint_url=URL; once for each, or "
        "all as one mapping {key: value, ...} in YAML or JSON",
    )
    words.add_argument("--client", default="auto", help="auto, obstore or fsspec (%(default)s)")
    words.add_argument(
        "--deadline",
        type=float,
        default=DEADLINE,
        metavar="S",
        help="give up after so long without a byte (%(default)s)",
    )


def store_of(args: argparse.Namespace) -> Store:
    """What the words of a command say; of a command without them, nothing. Raises UsageError."""
    if not hasattr(args, "storage_option"):
        return Store()
    return Store(options=parse_options(args.storage_option), client=args.client, deadline=args.deadline)


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Options from words `key=value`, `key.sub=value` and `{key: value}`; a later word replaces an earlier one's.

    Raises UsageError naming the word, without its value, which may be secret.
    """
    options: dict[str, Any] = {}
    for word in words:
        if word.lstrip().startswith("{"):
            options |= parse_mapping(word)
            continue
        key, equals, value = word.partition("=")
        if not equals or not all(key.split(".")):
            raise UsageError(
                f"--storage-option {key!r} is no KEY=VALUE: write anon=true, or one mapping {{anon: true}}."
            )
        plant(options, key, parse_value(value))
    return options


def parse_mapping(word: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(word)
    except yaml.YAMLError as error:
        where = getattr(error, "problem", None) or "it does not parse"
        raise UsageError(
            f"--storage-option {{...}} is neither YAML nor JSON ({where}): write {{key: value}}."
        ) from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise UsageError("--storage-option {...} is no mapping of names: write {key: value}.")
    return found


def plant(options: dict[str, Any], key: str, value: Any) -> None:
    *path, leaf = key.split(".")
    for part in path:
        inner = options.get(part)
        options[part] = inner = dict(inner) if isinstance(inner, dict) else {}
        options = inner
    options[leaf] = value
