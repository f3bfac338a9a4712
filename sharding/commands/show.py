"""show: one sample, by its key or its place."""

import argparse
from typing import Any

from tarn.sharding.commands.words import dataset_command


def add(commands: Any) -> None:
    command = dataset_command(commands, "show", "one sample: its picture, its class, where it lies")
    command.add_argument("sample", metavar="KEY|SHARD:N", help="such as n01440764_10026 or train-000000:5")
    command.add_argument("--out", metavar="FILE", help="write the picture there, a path or URL")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from tarn.sharding import storage
    from tarn.sharding.looking.dataset import Dataset
    from tarn.sharding.showing.search import search
    from tarn.sharding.showing.show import show

    dataset = Dataset(args.root)
    (sample,) = dataset.read([search(dataset, args.sample)])
    for line in show(dataset, sample):
        print(line)
    if args.out is not None:
        storage.publish(args.out, sample.data)
        print(f"written  {args.out}")
    return 0
