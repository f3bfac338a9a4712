"""Words that several commands have."""

import argparse
from pathlib import Path

from tarn.sharding.errors import UsageError
from tarn.sharding.storage import local_path
from tarn.sharding.storage.words import add_words


def dataset_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    """A command on one packed dataset, local or in a store."""
    parser = command(commands, name, text)
    parser.add_argument("root", metavar="ROOT", help="folder or URL of a packed dataset")
    add_words(parser)
    return parser


def command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    """text: its line in the list of commands, with which its own help begins too."""
    return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")


def on_disk(told: str, word: str) -> Path:
    """The path of what a command writes to a disk alone. Raises UsageError for a URL."""
    path = local_path(told)
    if path is None:
        raise UsageError(f"{word}={told} is a URL: give a path of this machine, and copy what is written from there.")
    return path
