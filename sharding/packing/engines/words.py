"""The words in which a command is told who makes the shards."""

import argparse
from typing import TYPE_CHECKING

from tarn.sharding.errors import UsageError

if TYPE_CHECKING:  # numpy comes with it, which `--help` can do without
    from tarn.sharding.packing.engines.engine import Engine


def add_words(parser: argparse.ArgumentParser) -> None:
    """--engine and --address."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="who makes the shards: this host, or the nodes of a Ray cluster, with --workers shards at a time (as many "
        "as it has CPUs); SRC and OUT then lie in stores or on a disk that all nodes share (%(default)s)",
    )
    parser.add_argument(
        "--address", metavar="HOST:PORT", help="of the Ray cluster's head (RAY_ADDRESS, or the cluster of this host)"
    )


def engine_of(args: argparse.Namespace) -> "Engine":
    """Raises UsageError."""
    from tarn.sharding.packing.engines.processes import LOCAL

    if args.engine == "ray":
        from tarn.sharding.packing.engines.cluster import Cluster

        return Cluster(args.address)
    if args.address is not None:
        raise UsageError(f"--address={args.address!r} is of a Ray cluster: give --engine ray with it.")
    return LOCAL
