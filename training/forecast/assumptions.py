"""What a forecast assumes of the machines, and the words that say otherwise; without NumPy and torch, for `--help`."""

import argparse
from dataclasses import dataclass, fields

from tarn.sharding.errors import UsageError

CORES = 16  # of a rank, on machines that are not here


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """ranks: processes that train. bandwidth: MB/s of a host; latency: ms of a request; decode: images/s of a core;
    compute: images/s that a rank trains, None: scaled from what was measured (pace.py); cores: of a host, None: those
    of this one, or CORES for each rank where the run's device is not here.

    Raises UsageError naming the word.
    """

    ranks: int = 1
    hosts: int = 1
    bandwidth: float = 1000.0
    latency: float = 30.0
    decode: float = 2000.0
    compute: float | None = None
    cores: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.hosts <= self.ranks or self.ranks % self.hosts:
            raise UsageError(f"--ranks={self.ranks} must be a multiple of --hosts={self.hosts}, both at least 1.")
        for name in ("bandwidth", "latency", "decode", "compute", "cores"):
            if (told := getattr(self, name)) is not None and not told > 0:
                raise UsageError(f"--{name}={told} must be above 0.")

    @property
    def ranks_of_host(self) -> int:
        return self.ranks // self.hosts


NAMES = tuple(each.name for each in fields(Assumptions))


def add_arguments(parser: argparse.ArgumentParser, title: str) -> None:
    usual = Assumptions()
    group = parser.add_argument_group(title)
    for name, kind, meaning in (
        ("ranks", int, f"processes, one a GPU ({usual.ranks})"),
        ("hosts", int, f"({usual.hosts})"),
        ("bandwidth", float, f"MB/s of a host ({usual.bandwidth:g})"),
        ("latency", float, f"ms of a request ({usual.latency:g})"),
        ("decode", float, f"images/s of a core ({usual.decode:g}, as measured of crops of 224 px)"),
        ("compute", float, "images/s that a rank trains (scaled from what was measured, which is told)"),
        ("cores", int, f"of a host (those of this one; {CORES} a rank where the device is not here)"),
    ):
        group.add_argument(f"--{name}", type=kind, help=meaning)


def told_of(args: argparse.Namespace) -> dict[str, float]:
    """The words that were given."""
    return {name: getattr(args, name) for name in NAMES if getattr(args, name) is not None}


def assumptions_of(args: argparse.Namespace) -> Assumptions:
    return Assumptions(**told_of(args))  # type: ignore[arg-type]
