"""Data that are not packed yet: what is known of them by their name."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from tarn.sharding.errors import TarnError
from tarn.training.run.config import RunConfig


@dataclass(frozen=True, slots=True)
class Known:
    """A published dataset: pictures of its training split."""

    name: str
    pictures: int
    classes: int


KNOWN = {
    "imagenet": Known("ImageNet-1k", 1_281_167, 1000),
    "imagenette": Known("Imagenette", 9_469, 10),
    "cifar10": Known("CIFAR-10", 50_000, 10),
}


def known_of(shards: str) -> Known | None:
    """By the last part of the folder or URL, as `make shards` names it."""
    return KNOWN.get(PurePosixPath(shards.rstrip("/")).name)


def served(known: Known, config: RunConfig) -> tuple[int, int]:
    """Pictures of an epoch, and its steps; about, where a part is held out."""
    batch = config.optim.global_batch
    steps = int(known.pictures * (1 - (config.data.val_fraction or 0))) // batch
    return steps * batch, steps


def note(config: RunConfig, error: TarnError, known: Known | None) -> str:
    """That the data are missing, what to do, and what is told without them."""
    shards = config.data.shards
    without = (
        f"assumed below are the {known.pictures:,} training pictures and {known.classes:,} classes of {known.name}"
        if known
        else "the schedule is told by epochs, what it takes is not"
    )
    return (
        f"Warning: {error} `make shards DATA=path/to/pictures SHARDS={shards}` does so, --data.shards names another "
        f"dataset; {without}."
    )
