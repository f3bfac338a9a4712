"""Whether a loader of somebody's own fields and hooks is exact: the same positions give the same samples, however they
are come by.

    check_exact("data", picture_hook="mymodule:augment", global_batch=64)
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Set
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tarn.sharding.errors import TarnError, UsageError
from tarn.training.streaming.batch import Batch
from tarn.training.streaming.loader import ShardLoader

Seen = dict[int, tuple[str, dict[str, bytes]]]  # by position: the sample's key, and a digest of each of its values


class InexactError(TarnError):
    """Two runs do not give the same samples."""


def check_exact(url: str | PathLike[str], *, steps: int = 4, epoch: int = 0, **settings: Any) -> int:
    """Compares the samples of an epoch's first steps: of one process with those of one worker, of two with smaller
    parts, of two ranks, and, in training, of a loader that goes on in the middle. settings: ShardLoader's, but for
    num_workers, keys, micro_batch, rank and world_size. Returns how many samples were compared.

    A batch_hook is left out where ranks or parts differ, for it sees other batches there. Raises InexactError naming
    the sample, what of it differs, and where it may come from; UsageError for settings that are not to be given;
    TarnError as the loader does.
    """
    told = {"num_workers", "keys", "micro_batch", "rank", "world_size"} & set(settings)
    if told or steps < 2:
        raise UsageError(f"check_exact chooses {', '.join(sorted(told)) or 'from 2 steps on'} itself: leave it out.")
    plain = {name: value for name, value in settings.items() if name != "batch_hook"}
    batch = int(settings.get("global_batch", 256))
    first = run(url, steps, epoch, settings, num_workers=0)
    steps = min(steps, -(-len(first) // batch))
    if steps < 2:
        raise UsageError(f"an epoch has {steps} step of global_batch={batch}: give a smaller one, so that some follow.")
    compare(first, run(url, steps, epoch, settings, num_workers=0), "a second run", settings)
    compare(first, run(url, steps, epoch, settings, num_workers=1), "a worker process", settings)
    if settings.get("train", True):  # an evaluation always begins at its beginning
        state = state_behind(url, steps // 2, epoch, settings)
        rest = {position: seen for position, seen in first.items() if position >= steps // 2 * batch}
        compare(rest, run(url, steps, epoch, settings, state, num_workers=1), "a resumed run", settings)
    alone = first if plain == settings else run(url, steps, epoch, plain, num_workers=0)
    parts = run(url, steps, epoch, plain, num_workers=2, micro_batch=-(-batch // 3))
    compare(alone, parts, "two workers and smaller batches", settings)
    if batch > 1:
        ranks: Seen = {}
        for rank in range(2):
            ranks |= run(url, steps, epoch, plain, num_workers=0, rank=rank, world_size=2)
        compare(alone, ranks, "two ranks", settings)
    return len(first)


def run(
    url: str | PathLike[str],
    steps: int,
    epoch: int,
    settings: Mapping[str, Any],
    state: Mapping[str, object] | None = None,
    **how: Any,
) -> Seen:
    """What the epoch's steps before `steps` give, from where a state stands."""
    how = {"rank": 0, "world_size": 1, **how}
    with tempfile.TemporaryDirectory() as folder:
        loader = ShardLoader(url, **{"bad_sample_ledger": Path(folder, "bad"), **settings, **how}, keys=True)
        try:
            loader.set_epoch(epoch)
            if state is not None:
                loader.load_state_dict(state)
            seen: Seen = {}
            padded = {"images", *loader.plan.content.of_pixels()} if loader.plan.content.whole else set()
            parts: dict[int, int] = {}
            for batch in loader:
                if batch.step >= steps:
                    break
                part = parts[batch.step] = parts.get(batch.step, -1) + 1
                positions = loader.plan.positions(batch.step)[part].tolist()
                seen |= {
                    position: (key, values)
                    for position, key, values in zip(positions, batch.keys, rows_of(batch, padded), strict=True)
                }
            return seen
        finally:
            loader.close()


def state_behind(url: str | PathLike[str], steps: int, epoch: int, settings: Mapping[str, Any]) -> Mapping[str, object]:
    """The state of a loader that has given so many steps of an epoch."""
    loader = ShardLoader(url, **{**settings, "num_workers": 0, "rank": 0, "world_size": 1})
    try:
        loader.set_epoch(epoch)
        for batch in loader:
            if batch.last and batch.step == steps - 1:
                break
        return loader.state_dict()
    finally:
        loader.close()


def rows_of(batch: Batch, padded: Set[str]) -> Iterator[dict[str, bytes]]:
    """padded: names of whole pictures and what lies on them. Raises InexactError for a batch of other rows."""
    count = len(batch.keys)
    for name, value in batch.values.items():
        if isinstance(value, Tensor | list) and len(value) != count:
            raise InexactError(
                f"step {batch.step}: {name} has {len(value)} rows of {count} samples: a batch_hook that gives another "
                "number of rows cannot be compared by sample; call it in the training loop."
            )
    for row in range(count):
        yield {name: digest(unpadded(name in padded, value[row], batch, row)) for name, value in batch.values.items()}


def unpadded(is_padded: bool, value: Any, batch: Batch, row: int) -> Any:
    """Of a padded picture or mask what is its own: how much is padded depends on the batch."""
    if not is_padded or not isinstance(value, Tensor):
        return value
    height, width = batch["sizes"][row].tolist()
    return value[:height, :width]


def digest(value: Any) -> bytes:
    told = hashlib.sha256()
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        told.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        for name in sorted(value):
            told.update(str(name).encode() + digest(value[name]))
    else:
        told.update(repr(value).encode())
    return told.digest()


def compare(ours: Seen, theirs: Seen, what: str, settings: Mapping[str, Any]) -> None:
    """Raises InexactError at the first position, in order, of which theirs tells something else."""
    if ours.keys() != theirs.keys():
        raise InexactError(f"one run gives {len(ours)} samples, {what} {len(theirs)}, or those of other positions.")
    for position in sorted(theirs):
        (key, values), (other, others) = ours[position], theirs[position]
        if key != other:
            raise InexactError(f"position {position} is {key} in one run and {other} in {what}.")
        for name in values:
            if values[name] != others.get(name):
                hook = settings.get("picture_hook") or settings.get("batch_hook")
                blame = f"{hook} draws from" if hook else "it depends on"
                raise InexactError(
                    f"{key} (position {position}) has other {name} in one run than in {what}: {blame} something other "
                    "than the sample and the generator that it is given (a generator of its own, one made at the "
                    "module's import, the time, a counter): draw from the generator given, or seed by it in every call."
                )


__all__ = ["InexactError", "check_exact"]
