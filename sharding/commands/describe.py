"""describe: files by which other libraries read a packed dataset."""

import argparse
from typing import Any

from tarn.sharding.commands.words import dataset_command


def add(commands: Any) -> None:
    command = dataset_command(
        commands, "describe", "write files for other readers (DALI, timm, Croissant, Energon), or renew those there"
    )
    add_kinds(command)
    command.set_defaults(run=run)


def add_kinds(command: argparse.ArgumentParser) -> None:
    """One switch for each kind of file."""
    command.add_argument("--dali-index", action="store_true", help="DALI's index of each tar, <shard>.dali-idx")
    command.add_argument("--info", action="store_true", help="_info.json, for timm and hubs")
    command.add_argument("--croissant", action="store_true", help="croissant.json, MLCommons' description")
    command.add_argument("--energon", action="store_true", help="<shard>.tar.idx and .nv-meta, for Megatron Energon")


def kinds_of(args: argparse.Namespace) -> list[str]:
    from tarn.sharding.interchange.described import KINDS

    return [kind for kind in KINDS if getattr(args, kind.replace("-", "_"))]


def run(args: argparse.Namespace) -> int:
    from tarn.sharding.interchange.describe import describe

    done = describe(args.root, kinds_of(args))
    print(f"{args.root}: {len(done.files):,} files for {', '.join(done.kinds)}, listed in interchange.json")
    return 0
