"""stats: what a dataset holds, as text, and where asked for as charts and a page."""

import argparse
from typing import Any

from tarn.sharding.commands.words import dataset_command, on_disk
from tarn.sharding.errors import UsageError


def add(commands: Any) -> None:
    command = dataset_command(commands, "stats", "counts, bytes, histograms of sizes and classes")
    command.add_argument("--out", metavar="FOLDER", help="charts (PNG), and a page with random pictures")
    command.add_argument("--samples", type=int, default=60, metavar="N", help="pictures of a split there (%(default)s)")
    command.add_argument("--seed", type=int, default=0, help="that draws them (%(default)s)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from tarn.sharding.looking.dataset import Dataset
    from tarn.sharding.statistics.collect import collect
    from tarn.sharding.statistics.page import write_page
    from tarn.sharding.statistics.text import text_of

    if args.samples < 1:
        raise UsageError(f"--samples={args.samples} must be at least 1.")
    out = on_disk(args.out, "--out") if args.out is not None else None
    dataset = Dataset(args.root)
    numbers = list(collect(args.root, dataset.manifest))
    print(text_of(args.root, dataset.manifest, numbers))
    if out is not None:
        written = write_page(dataset, numbers, out, args.samples, args.seed)
        print(f"\n{len(written) - 1} charts and {written[-1]}")
    return 0
