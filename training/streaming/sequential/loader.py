"""Batches of tars that can only be read from their beginning: compressed ones (.tar.gz, .tgz, .tar.bz2, .tar.xz,
.tar.zst where its package is there), on web servers without ranges, or without an index.

loader = SequentialLoader("https://host/train-{0000..0145}.tar.gz", samples=1_281_167, global_batch=1024)

It gives the same batches as ShardLoader: images, labels, keys. It does not keep what ShardLoader promises of them:

- Their order depends on the number of ranks and of worker processes, and on how samples are divided among tars. With
  all of those as they were it is the same again.
- Samples are shuffled within a buffer (shuffle_buffer, of each rank), tars among themselves; nothing more.
- Ranks read different tars. One whose tars hold less than its part reads them again in the same epoch, in another
  order, and says so once; the rest of a rank that has more is left out. Evaluation reads every sample once on any
  number of ranks; where tars are divided unequally, a rank's last step comes in several batches, or some are empty.
- Resuming reads everything before the place again, to throw it away undecoded; so does a connection that breaks on a
  server without ranges.
- No bytes are compared with a digest. A cut or damaged tar is an error that names it: each must have whole headers
  with their checksums, its end marker, and a picture and a label in every sample. A changed byte in a picture is not
  noticed, except by the checksums that compressed files carry; nor is a key that comes in two tars.
- `samples` is taken on trust in training. At the end of evaluation it is compared with what was found: exactly on one
  rank; on several a rank notices only if it alone has more, so compare the sum of your batches there.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.reading import Reading
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.storage.persistence import Patience
from tarn.sharding.storage.told import DEADLINE
from tarn.training.pixels.geometry import Augmentation
from tarn.training.pixels.preprocessing import Preprocessing, resize_for
from tarn.training.streaming.batch import Batch
from tarn.training.streaming.iteration import EpochIteration
from tarn.training.streaming.loader import worker_count
from tarn.training.streaming.sequential.plan import SequentialPlan, SequentialState, tars_of
from tarn.training.streaming.sequential.team import Lap, Processes, Row, Solo
from tarn.training.world.group import check_against_group, ranks_of


class SequentialLoader(EpochIteration):
    """One rank's batches, made by worker processes that outlive epochs.

    urls: a pattern such as x-{000..146}.tar.gz, or a list. samples: of all tars together; an epoch has
    samples / global_batch steps, rounded down in training and up in evaluation. classes: wnids or names in the order of
    their numbers, or what ShardLoader.classes tells; needed where labels are wnids or names. picture, label: endings of
    the members that are a sample's picture and label (`input.jpg`, `cls`, `json:label`), where they are not the usual
    ones; as --picture and --label of `python -m tarn.sharding index`. shuffle_buffer: undecoded samples (about
    110 kB each for ImageNet) that a rank holds. num_workers: no more are used than a rank has tars. deadline: seconds
    without a byte. The rest is as for ShardLoader; a picture that cannot be decoded is an error.

    Raises UsageError for settings that do not fit together, TarnError for data that cannot be read.
    """

    plan: SequentialPlan
    state: SequentialState

    def __init__(
        self,
        urls: str | Sequence[str],
        samples: int,
        global_batch: int = 256,
        seed: int = 0,
        image_size: int = 224,
        train: bool = True,
        rank: int | None = None,
        world_size: int | None = None,
        num_workers: int | str = "auto",
        keys: bool = False,
        *,
        classes: Sequence[str] | Sequence[ClassInfo] | None = None,
        picture: str | None = None,
        label: str | None = None,
        shuffle_buffer: int = 5000,
        augment: Augmentation | None = None,
        eval_resize: int | None = None,
        storage_options: Mapping[str, Any] | None = None,
        deadline: float = DEADLINE,
        pin_memory: bool = False,
    ) -> None:
        tars, ranks, self.ranks_told = tars_of(urls), ranks_of(rank, world_size), rank is not None
        workers = worker_count(num_workers, ranks)
        self.plan = SequentialPlan(
            urls=tars,
            samples=samples,
            global_batch=global_batch,
            seed=seed,
            image_size=image_size,
            ranks=ranks,
            streams=max(1, min(workers, len(tars) // ranks.size)),
            shuffle_buffer=shuffle_buffer,
            preprocessing=Preprocessing(resize=eval_resize or resize_for(image_size), crop=image_size),
            augmentation=(augment or Augmentation()) if train else None,
            classes=tuple(ClassInfo(each, each) if isinstance(each, str) else each for each in classes)
            if classes
            else None,
            reading=Reading.chosen(picture, label),
            options=dict(storage_options or {}),
            patience=Patience(deadline=deadline),
        )
        check(self.plan)
        self.keys, self.pin_memory, self.workers = keys, pin_memory, self.plan.streams if workers else 0
        self.state = SequentialState.start(self.plan)
        self.counters: Counter[str] = Counter()
        self.warnings: list[str] = []
        self.told = False
        self.team: Processes | Solo = Processes(self.plan) if workers else Solo(self.plan)

    def __len__(self) -> int:
        """Steps of a whole epoch, equal on all ranks; batches, but for a rank's last step in evaluation."""
        return self.plan.steps

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Those of every step from first_step to the epoch's end; the state is left alone."""
        if not self.ranks_told:
            check_against_group(self.plan.ranks)
        plan, rows = self.plan, self.rows(epoch, first_step * self.plan.rows)
        for step in range(first_step, plan.steps):
            taken = list(itertools.islice(rows, plan.rows))
            while not plan.train and step == plan.steps - 1:
                more = list(itertools.islice(rows, plan.rows))
                if not more:
                    break
                yield self.batch(taken, step, last=False)
                taken = more
            yield self.batch(taken, step, last=True)

    def batch(self, rows: Sequence[Row], step: int, last: bool) -> Batch:
        side = self.plan.image_size
        images = np.empty((len(rows), side, side, 3), np.uint8)
        for place, row in enumerate(rows):
            images[place] = row[0]
        labels = torch.tensor([label for _, label, _ in rows], dtype=torch.int64)
        keys = tuple(key for _, _, key in rows) if self.keys else ()
        batch = Batch(torch.from_numpy(images), labels, step, last, keys)
        return batch.pin_memory() if self.pin_memory else batch

    def rows(self, epoch: int, skip: int) -> Iterator[Row]:
        """This rank's samples, without the first ones; in training without end, else until its tars end."""
        for number in itertools.count():
            lap = Lap(self.team, self.plan, epoch, number)
            lap.skip(skip)
            skip -= lap.found
            for row in lap:
                self.counters["repeated"] += number > 0
                yield row
            if not self.plan.train:
                return self.compare(lap.found)
            self.tell(lap.found)

    def compare(self, found: int) -> None:
        """Raises TarnError where evaluation did not find what it was told."""
        told, size = self.plan.samples, self.plan.ranks.size
        if found > told or (size == 1 and found != told):
            whose = "the tars hold" if size == 1 else f"rank {self.plan.ranks.rank}'s tars alone hold"
            raise TarnError(
                f"{whose} {found} samples ({self.plan.urls[0]} and so on), samples={told} was told: "
                f"give the right number, or all of the tars."
            )

    def tell(self, found: int) -> None:
        """That the rank's tars end before the epoch does: once. Raises TarnError where they hold nothing."""
        plan = self.plan
        if not found:
            raise TarnError(f"{plan.urls[0]} and the other tars of rank {plan.ranks.rank} hold no samples.")
        if not self.told:
            self.told = True
            self.warnings.append(
                f"rank {plan.ranks.rank}'s tars hold {found} samples, fewer than its {plan.steps * plan.rows} of an "
                f"epoch (samples={plan.samples}): it begins again with them, so samples come twice in an epoch."
            )

    def take_counters(self) -> dict[str, int]:
        """What happened on the way so far: repeated (samples that came again in their epoch)."""
        return dict(+self.counters)

    def take_warnings(self) -> list[str]:
        """What a human should know, each once."""
        taken = list(self.warnings)
        self.warnings.clear()
        return taken

    def close(self) -> None:
        """Ends the processes; so does the end of the program, or of the loader's last user."""
        self.team.close()


def check(plan: SequentialPlan) -> None:
    """Raises UsageError for numbers that make no epoch."""
    ranks, tars = plan.ranks.size, len(plan.urls)
    if not plan.global_batch >= ranks:
        raise UsageError(f"global_batch={plan.global_batch} must be at least the number of ranks, {ranks}.")
    if plan.samples < 1 or plan.steps < 1:
        raise UsageError(f"samples={plan.samples} does not fill one batch of global_batch={plan.global_batch}.")
    if tars < ranks:
        raise UsageError(f"{tars} tars cannot be dealt to {ranks} ranks: give at least as many tars, or fewer ranks.")
    if plan.augmentation is not None and plan.augmentation.crop == "none":
        raise UsageError("crop=none gives pictures of different sizes, as ShardLoader alone does: choose another crop.")
    if plan.augmentation is not None and plan.augmentation.flip_mode != "random":
        raise UsageError(
            f"flip_mode={plan.augmentation.flip_mode} needs samples that are known from epoch to epoch: take random, "
            "or ShardLoader."
        )
    if plan.shuffle_buffer < 0:
        raise UsageError(f"shuffle_buffer={plan.shuffle_buffer} must be at least 0 samples.")
    if not plan.patience.deadline > 0:
        raise UsageError(f"deadline={plan.patience.deadline} must be above 0 seconds.")
    for url in {url.split("://")[0]: url for url in plan.urls}.values():
        if storage.local_path(url) is None:
            storage.remote(url, plan.options)  # its package may be missing: said here, not by a worker
