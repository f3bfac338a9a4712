"""prune: removes what no manifest names, and says what."""

import argparse
from typing import Any

from tarn.sharding.commands.words import dataset_command

KIND = "files and folders"


def add(commands: Any) -> None:
    command = dataset_command(commands, "prune", "remove what no manifest names: of killed packings, of replaced ones")
    command.add_argument("--dry-run", action="store_true", help="say what would be removed, remove nothing")
    command.add_argument(
        "--all", action="store_true", help="also replaced shards of which nobody can know who reads them (stores)"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from tarn.sharding.kinds import counted_kind
    from tarn.sharding.prune import prune

    done = prune(args.root, everything=args.all, dry=args.dry_run)
    for stray in done.removed:
        print(f"{'would remove' if args.dry_run else 'removed'} {stray.name} ({stray.bytes:,} bytes): {stray.why}")
    for line in done.kept:
        print(f"kept: {line}")
    total = sum(stray.bytes for stray in done.removed)
    verb = "would be removed" if args.dry_run else "removed"
    print(f"{args.root}: {counted_kind(len(done.removed), KIND)} of {total:,} bytes {verb}")
    return 0
