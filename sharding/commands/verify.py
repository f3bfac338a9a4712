"""verify: exit code 0 for a sound dataset, 1 where anything is wrong."""

import argparse
import sys
from typing import Any

from tarn.sharding.commands.words import dataset_command
from tarn.sharding.sources.words import add_table_words


def add(commands: Any) -> None:
    command = dataset_command(commands, "verify", "read every byte again and compare it with the manifest")
    command.add_argument("--fast", action="store_true", help="presence, sizes and indexes alone; reads no tar")
    command.add_argument("--decode", action="store_true", help="decode every picture, too")
    command.add_argument("--source", metavar="SRC", help="compare keys and labels with what was packed")
    command.add_argument("--workers", type=int, help="processes (as many as there are cores and work for)")
    add_table_words(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from tarn.sharding.format.litter import notes
    from tarn.sharding.format.manifest import read_manifest
    from tarn.sharding.sizes import counted
    from tarn.sharding.sources.table import Table
    from tarn.sharding.verify import VerifyConfig, verify

    table = Table(base=args.base, class_list=args.class_list)
    config = VerifyConfig(fast=args.fast, decode=args.decode, source=args.source, workers=args.workers, table=table)
    manifest = read_manifest(args.root)
    problems = verify(args.root, manifest, config)
    for problem in problems:
        print(problem, file=sys.stderr)
    for note in notes(args.root):
        print(f"{args.root}: {note}")
    counts = ", ".join(
        f"{name} {split.samples:,}" + (f", {split.skipped:,} skipped" if split.skipped else "")
        for name, split in manifest.splits.items()
    )
    print(f"{args.root}: {counted(len(problems), 'problem') if problems else 'sound'} ({counts})")
    if problems and args.source is None and not any(split.indexed for split in manifest.splits.values()):
        print(f"{args.root}: `python -m tarn.sharding repair {args.root} SRC` makes anew what is broken or missing")
    return 1 if problems else 0
