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
    parser.add_argument("--picture", metavar="ENDING", help="of shards: which member is the picture, as for `index`")
    parser.add_argument(
        "--label", metavar="ENDING", help="of a shard's samples, what tells the class, as `index` has it"
    )
    parser.add_argument(CLASS_LIST, metavar="FILE", help="of shards: their classes, lines `wnid name`, or names alone")


def samples_of(args: argparse.Namespace) -> SampleWords:
    """Raises UsageError."""
    return SampleWords.chosen(args.picture, args.label, args.class_list)
