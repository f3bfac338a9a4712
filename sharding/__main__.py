"""python -m tarn.sharding sample | pack | repair | index | describe | verify | diff | prune | show | extract | stats"""

import argparse
import io
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from tarn.sharding.commands import describe, diff, extract, prune, show, stats, verify
from tarn.sharding.commands.words import command
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import Split
from tarn.sharding.packing.engines.words import add_words as add_engine_words
from tarn.sharding.packing.engines.words import engine_of
from tarn.sharding.pipe import ends_with_its_reader
from tarn.sharding.sample import sample
from tarn.sharding.sources.words import add_table_words, samples_of, table_in
from tarn.sharding.sources.words import add_words as add_source_words
from tarn.sharding.storage.told import told
from tarn.sharding.storage.words import add_words, store_of

FIELDS = "ShardLoader(..., fields=...)"  # what reads samples without classes


@ends_with_its_reader
def main(words: list[str] | None = None) -> int:
    """The exit code: 0, 1 for a failure, 2 for usage, 128 + signal where one ended it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be anything
    args = build_parser().parse_args(words)
    before = signal.signal(signal.SIGTERM, leave)
    try:
        with told(store_of(args)):
            return int(args.run(args))
    except TarnError as error:
        print(" ".join([f"error: {error}", *notes_of(error)]), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        print("interrupted:", *(notes_of(error) or ["nothing was published."]), file=sys.stderr)
        return 130
    except SystemExit as error:
        if notes := notes_of(error):
            print("ended by a signal:", *notes, file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def notes_of(error: BaseException) -> list[str]:
    """What was published before it came, where anything was."""
    return list(getattr(error, "__notes__", []))


def leave(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the program by way of every `finally`."""
    raise SystemExit(128 + number)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tarn.sharding", description="Pack pictures into WebDataset tar shards."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    draw = command(commands, "sample", "draw the sample dataset, laid out as the Kaggle ILSVRC download")
    sample.add_arguments(draw)
    draw.set_defaults(run=run_sample)
    add_pack(command(commands, "pack", "pack ImageNet as it is downloaded, an ImageFolder, a table, or shards anew"))
    add_repair(command(commands, "repair", "make anew what is broken or missing of a packed dataset"))
    add_index(command(commands, "index", "index tars that somebody else packed, to train from them in place"))
    for module in (describe, verify, diff, prune, show, extract, stats):
        module.add(commands)
    return parser


def add_pack(packing: argparse.ArgumentParser) -> None:
    packing.add_argument(
        "given", metavar="SRC", help="folder, zip, ILSVRC's tars, parquet, listing, or shards; a path, URL or pattern"
    )
    packing.add_argument("root", metavar="OUT", help="folder or URL of the packed dataset")
    packing.add_argument(
        "--split", choices=("train", "val", "all"), default="all", help="pack this one alone (%(default)s)"
    )
    packing.add_argument("--shard-size", default="100MB", help="of a tar, such as 100MB or 64MiB (%(default)s)")
    packing.add_argument("--workers", type=int, help="processes (one a core; --no-tile: as many as pay)")
    packing.add_argument("--seed", type=int, default=0, help="of the shuffle (%(default)s)")
    packing.add_argument("--no-tile", action="store_true", help="keep the bit stream of JPEGs as it is")
    packing.add_argument(
        "--max-side", type=int, metavar="PX", help="make larger pictures smaller, by their longer side"
    )
    packing.add_argument("--short-side", type=int, metavar="PX", help="the same, by their shorter side")
    packing.add_argument(
        "--quality",
        type=int,
        metavar="Q",
        help="encode anew at this JPEG quality, 1 to 95: all but JPEGs that are smaller and decoded fast already",
    )
    packing.add_argument(
        "--normalise", action="store_true", help="make a JPEG that is decoded fast of whatever is none; turn by Exif"
    )
    packing.add_argument(
        "--check",
        metavar="{sample,all,off}",
        default="sample",
        help="decode all pictures, before and after tiling; or (sample) all but baseline JPEGs, of which one in 64 is "
        "compared after tiling; or none, off (%(default)s)",
    )
    packing.add_argument(
        "--bad",
        metavar="{fail,skip}",
        default="fail",
        help="unreadable pictures: fail as a whole, or skip and name them (%(default)s)",
    )
    packing.add_argument("--overwrite", action="store_true", help="replace splits that are there already")
    packing.add_argument(
        "--prune", action="store_true", help="remove replaced shards also where nobody knows who reads them (stores)"
    )
    add_source_words(packing)
    packing.add_argument("--classes", metavar="FILE|LIST", help="pack these alone, numbered anew from 0")
    packing.add_argument("--subset", metavar="PART", help="of each split, drawn by the seed: 0.1, 10%% or a count")
    packing.add_argument("--limit", type=int, metavar="N", help="pictures of each split, from all classes in turn")
    describe.add_kinds(packing)
    add_engine_words(packing)
    add_words(packing)
    packing.set_defaults(run=run_pack)


def add_repair(mending: argparse.ArgumentParser) -> None:
    mending.add_argument("root", metavar="ROOT", help="folder or URL of a packed dataset")
    mending.add_argument("source", metavar="SRC", help="the pictures that it was packed from")
    mending.add_argument("--workers", type=int, help="processes (1)")
    mending.add_argument("--check", default="sample", help="as it was packed: all, sample or off (%(default)s)")
    add_engine_words(mending)
    add_table_words(mending)
    add_words(mending)
    mending.set_defaults(run=run_repair)


def add_index(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="of tars: folder, pattern (x-{00..12}.tar, x-*.tar) or list of wids")
    parser.add_argument("--out", metavar="FOLDER", help="of manifest and indexes (beside the tars)")
    parser.add_argument("--split", action="append", default=[], metavar="NAME=PATTERN", help="the tars of a split")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="lines `wnid name`, `id<TAB>name`, or names alone")
    parser.add_argument("--picture", metavar="ENDING", help="of a sample's picture, such as input.jpg (jpg, png, ...)")
    parser.add_argument(
        "--label",
        metavar="ENDING",
        help="of what tells its class: cls, outputs.txt, json:key; none where samples have no class, such as captions "
        "or boxes (cls, json or a wnid)",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="tars read at a time (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="read everything again")
    add_words(parser)
    parser.set_defaults(run=run_index)


def run_sample(args: argparse.Namespace) -> int:
    sample.run(args)
    return 0


def run_pack(args: argparse.Namespace) -> int:
    from tarn.sharding.format.litter import notes
    from tarn.sharding.interchange.describe import describe_again
    from tarn.sharding.jpeg.structure import SIDE
    from tarn.sharding.kinds import counted_kind
    from tarn.sharding.packing.pack import PackConfig, pack
    from tarn.sharding.packing.plan import LEAST_SHARD
    from tarn.sharding.packing.preparation import Preparation
    from tarn.sharding.sizes import parse_size
    from tarn.sharding.sources.selection import selection_of

    preparation = Preparation(
        tile=0 if args.no_tile else SIDE,
        check=args.check,
        max_side=args.max_side,
        short_side=args.short_side,
        quality=args.quality,
        normalise=args.normalise,
    )
    config = PackConfig(
        split=args.split,
        shard_size=parse_size(args.shard_size, least=LEAST_SHARD),
        workers=args.workers,
        seed=args.seed,
        preparation=preparation,
        overwrite=args.overwrite,
        bad=args.bad,
        prune=args.prune,
        source=args.source,
        expect=args.expect,
        selection=selection_of(args.classes, args.subset, args.limit),
        engine=engine_of(args),
        samples=samples_of(args),
        table=table_in(args),
    )
    started = time.perf_counter()
    manifest, written = pack(args.given, args.root, config, print)
    described = describe_again(args.root, describe.kinds_of(args))
    took = f"packed in {time.perf_counter() - started:.1f} s{' in all' if len(written) > 1 else ''}"
    for name, split in manifest.splits.items():
        tell_split(args, name, split, took if name in written else "up to date")
    if described:
        print(f"        described for other readers: {', '.join(described)}")
    for note in notes(args.root):
        print(f"        {note}")
    count = counted_kind(len(manifest.classes), "classes") if manifest.classes else "no classes"
    following = f"python -m tarn.training fit --data.shards={args.root}" if manifest.classes else FIELDS
    print(f"{args.root}: {count}. Next: {following}")
    return 0


def tell_split(args: argparse.Namespace, name: str, split: Split, took: str) -> None:
    """took: whether it was packed now, and how long that was."""
    from tarn.sharding.sizes import counted
    from tarn.sharding.storage import join

    holds = f"{counted(split.samples, 'picture')}, {counted(len(split.shards), 'shard')}"
    print(f"{name:>6}: {holds}, {split.bytes:,} bytes, {took}")
    for line in ("made_baseline", "normalised"):
        if treated := split.packed.get(line):
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in treated.items())
            print(f"        {line.replace('_', ' ')}: {reasons}")
    if not args.no_tile and (left := split.packed.get("left_untiled")):
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left.items())
        print(f"        stored as they are, not tiled: {reasons}")
    if content := split.packed.get("content"):
        print(f"        told by content: {', '.join(f'{count:,} {what}' for what, count in content.items())}")
    if split.skipped:
        print(f"        skipped as unreadable: {split.skipped:,}, named in {join(args.root, str(split.report))}")


def run_repair(args: argparse.Namespace) -> int:
    from tarn.sharding.packing.repair import repair
    from tarn.sharding.sources.table import Table

    workers = args.workers if args.workers is not None or args.engine == "ray" else 1
    table = Table(base=args.base, class_list=args.class_list)
    made = repair(args.root, args.source, workers, args.check, engine_of(args), table)
    for name in made:
        print(f"made anew: {name}")
    print(f"{args.root}: {f'{len(made)} made anew' if made else 'sound, nothing was to be made'}")
    return 0


def run_index(args: argparse.Namespace) -> int:
    from tarn.sharding.foreign.index import IndexConfig, index
    from tarn.sharding.format.litter import notes
    from tarn.sharding.kinds import counted_kind
    from tarn.sharding.sizes import counted

    config = IndexConfig(
        out=args.out,
        splits=tuple(args.split),
        classes=args.classes,
        picture=args.picture,
        label=args.label,
        workers=args.workers,
        overwrite=args.overwrite,
    )
    started = time.perf_counter()
    done = index(args.url, config)
    told = f"indexed in {time.perf_counter() - started:.1f} s" if done.fresh else "up to date"
    for name, split in done.manifest.splits.items():
        holds = f"{counted(split.samples, 'picture')}, {counted(len(split.shards), 'tar')}"
        print(f"{name:>6}: {holds}, {split.bytes:,} bytes, {told}")
    for note in (*done.notes, *notes(done.root)):
        print(f"        {note}")
    count = counted_kind(len(done.manifest.classes), "classes")
    training = f"python -m tarn.training fit --data.shards={done.root}"
    is_labelled = all(map(done.manifest.is_labelled, done.manifest.splits))
    print(f"{done.root}: {count}. Next: {training if is_labelled else FIELDS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
