"""diff: exit code 0 for equal datasets, 1 where they differ."""

import argparse
from typing import Any

from tarn.sharding.commands.words import command
from tarn.sharding.storage.words import add_words


def add(commands: Any) -> None:
    parser = command(commands, "diff", "what differs between two packed datasets, sample by sample")
    parser.add_argument("first", metavar="A", help="folder or URL of a packed dataset")
    parser.add_argument("second", metavar="B")
    add_words(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from tarn.sharding.diff import Side, diff
    from tarn.sharding.format.manifest import read_manifest

    sides = [Side(root, read_manifest(root)) for root in (args.first, args.second)]
    lines = diff(*sides)
    for line in lines:
        print(line)
    print(f"{args.first} and {args.second}: {'different' if lines else 'equal'}")
    return 1 if lines else 0
