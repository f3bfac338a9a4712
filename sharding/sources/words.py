"""The words in which `pack` is told of its source."""

import argparse

from tarn.sharding.resharding.words import CLASS_LIST, SampleWords
from tarn.sharding.sources.counts import AUTO
from tarn.sharding.sources.find import KINDS
from tarn.sharding.sources.table import WHATS, Table, table_of


def add_words(parser: argparse.ArgumentParser) -> None:
    """--source, --expect, and how tables and samples of shards are read."""
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
    shards.add_argument(
        "--label", metavar="ENDING", help="which member tells the class, as for `index` (none: samples have no class)"
    )
    shards.add_argument(
        "--members", metavar="ENDINGS", help="which of the others go along: all, none, or some, as txt,json (all)"
    )
    words = parser.add_argument_group("parquet and listings (CSV, TSV, JSONL: a path or URL and a label in each row)")
    words.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="WHAT=NAME",
        help=f"the column that holds it, for each of {', '.join(WHATS)} (by the names that are usual)",
    )
    words.add_argument("--keep", metavar="COLUMNS", help="put these, or all others, as .json beside the picture")
    add_table_words(words)


def samples_of(args: argparse.Namespace) -> SampleWords:
    """Raises UsageError."""
    return SampleWords.chosen(args.picture, args.label, args.class_list, args.members)


def add_table_words(parser: argparse._ActionsContainer) -> None:
    """Those that what was packed cannot tell: what belongs to a listing and lies elsewhere."""
    parser.add_argument(
        "--base", metavar="FOLDER", help="of a listing's paths, which must lie below it (the listing's own folder)"
    )
    parser.add_argument(
        CLASS_LIST, metavar="FILE", help="lines `wnid name`, or names alone, that number a table's or shards' classes"
    )


def table_in(args: argparse.Namespace) -> Table:
    """As the words say. Raises UsageError."""
    return table_of(args.column, args.keep, args.base, args.class_list)
