"""The words in which `pack` is told of its source."""

import argparse

from tarn.sharding.resharding.words import CLASS_LIST, SampleWords
from tarn.sharding.sources.counts import AUTO
from tarn.sharding.sources.find import KINDS


def add_words(parser: argparse.ArgumentParser) -> None:
    """--source, --expect, and how samples of shards are read."""
    parser.add_argument(
        "--source", choices=KINDS, default="auto", help="what SRC is (%(default)s: looks, and tells what it saw)"
    )
    parser.add_argument(
        "--expect",
        default=AUTO,
        metavar="COUNTS",
        help="fail unless it holds train=1281167,val=50000,classes=1000, or some of them (%(default)s: of ImageNet-1k, "
        "what is missing is noted; none: it is not)",
    )
    shards = parser.add_argument_group("shards (WebDataset tars of others; datasets of our own need none of it)")
    shards.add_argument("--picture", metavar="ENDING", help="which member of a sample is the picture, as for `index`")
    shards.add_argument("--label", metavar="ENDING", help="which member tells the class, as for `index`")
    shards.add_argument(CLASS_LIST, metavar="FILE", help="lines `wnid name`, or names alone, that number the classes")


def samples_of(args: argparse.Namespace) -> SampleWords:
    """Raises UsageError."""
    return SampleWords.chosen(args.picture, args.label, args.class_list)
