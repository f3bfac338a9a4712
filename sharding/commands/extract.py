"""extract: pictures back into files."""

import argparse
from typing import Any

from tarn.sharding.commands.words import dataset_command, on_disk


def add(commands: Any) -> None:
    command = dataset_command(commands, "extract", "pictures back into an ImageFolder tree, <split>/<class>/<key>.jpg")
    command.add_argument("out", metavar="OUT", help="folder")
    command.add_argument("--split", action="append", help="train, val, ...; once for each (all)")
    command.add_argument("--classes", metavar="FILE|LIST", help="a file of lines `wnid`, or wnids with commas between")
    command.add_argument("--limit", type=int, metavar="N", help="pictures of each split")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from tarn.sharding.looking.dataset import Dataset
    from tarn.sharding.showing.extract import ExtractConfig, extract
    from tarn.sharding.sizes import counted
    from tarn.sharding.sources.selection import parse_classes
    from tarn.sharding.storage.urls import refuse_unnamed

    refuse_unnamed(args.out, "OUT")
    config = ExtractConfig(
        splits=tuple(args.split) if args.split else None,
        classes=parse_classes(args.classes) if args.classes is not None else None,
        limit=args.limit,
    )
    counts = extract(Dataset(args.root), on_disk(args.out, "OUT"), config)
    print(f"{args.out}: " + ", ".join(f"{split} {counted(count, 'picture')}" for split, count in counts.items()))
    return 0
