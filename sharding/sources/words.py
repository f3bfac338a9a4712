"""The words in which `pack` is told of its source."""

import argparse

from tarn.sharding.sources.counts import AUTO
from tarn.sharding.sources.find import KINDS


def add_words(parser: argparse.ArgumentParser) -> None:
    """--source and --expect."""
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
