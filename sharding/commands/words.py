"""Words that several commands have."""

import argparse

from tarn.sharding.storage.words import add_words


def dataset_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    """A command on one packed dataset, local or in a store."""
    command = commands.add_parser(name, help=text)
    command.add_argument("root", metavar="ROOT", help="folder or URL of a packed dataset")
    add_words(command)
    return command
