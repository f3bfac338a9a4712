"""A bulk prediction from its first unit to the file: what is there is passed over, the rest is made in order."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tqdm import tqdm

from tarn.inference.bulk.decoding import Decoded, Decoders
from tarn.inference.bulk.features import Embedder
from tarn.inference.bulk.formats import Format
from tarn.inference.bulk.parts import Part, Parts, of_unit
from tarn.inference.bulk.rows import LabelNumbers, Rows, joined
from tarn.inference.models.scorer import Scorer
from tarn.inference.pictures import NamedPicture
from tarn.inference.prediction import likeliest
from tarn.inference.sources import Unit
from tarn.sharding.errors import TarnError
from tarn.sharding.progress import progress_bar

PART = 1024  # rows, more or less: what a kill costs
LOOK = 0.5  # s between looks at what other ranks have made


@dataclass(frozen=True, slots=True)
class Share:
    """Of the units, those whose number leaves `rank` when divided by `ranks`."""

    rank: int = 0
    ranks: int = 1

    def has(self, unit: int) -> bool:
        return unit % self.ranks == self.rank


@dataclass(frozen=True, slots=True)
class Task:
    """A part that is to be made."""

    part: Part
    pictures: Sequence[NamedPicture]

    def batches(self, size: int) -> list[Sequence[NamedPicture]]:
        return [self.pictures[first : first + size] for first in range(0, len(self.pictures), size)]


@dataclass(frozen=True, slots=True)
class Summary:
    """Of the whole result."""

    rows: int
    broken: int


class Job:
    """units: of all ranks. The scorer's batches begin anew with every part, so that a part's bytes do not depend on
    what was made before it, or by whom."""

    def __init__(self, units: Sequence[Unit], parts: Parts, share: Share) -> None:
        self.units, self.parts, self.share = units, parts, share
        self.digests = [parts.digest(unit.key) for unit in units]

    def run(
        self,
        scorer: Scorer,
        decoders: Decoders,
        form: Format,
        batch_size: int,
        embedder: Embedder | None = None,
    ) -> None:
        """Makes this rank's share. Raises TarnError for what cannot be written."""
        size = batch_size * max(1, PART // batch_size)
        labels = LabelNumbers(scorer.card.classes)
        there = self.parts.found()
        total = sum(unit.count or 0 for number, unit in enumerate(self.units) if self.share.has(number))
        bar = self.bar(total)
        try:
            tasks, coming = [], self.tasks(size, there, bar)

            def batches() -> Iterator[Sequence[NamedPicture]]:
                for task in coming:
                    tasks.append(task)
                    yield from task.batches(batch_size)

            decoded = decoders.decoded(batches())
            rows: list[Rows] = []
            for each in decoded:
                rows.append(scored(each, scorer, embedder, labels, form.top))
                bar.update(len(each.pictures))
                if sum(map(len, rows)) == len(tasks[0].pictures):
                    self.keep(tasks.pop(0).part, joined(rows), form)
                    rows = []
        finally:
            bar.close()

    def bar(self, total: int) -> "tqdm[Any]":
        """Of the first rank's share alone, where there are several."""
        if self.share.rank > 0:
            return tqdm(total=total, disable=True)
        several = f" (rank 0 of {self.share.ranks})" if self.share.ranks > 1 else ""
        return progress_bar(total, f"predicting{several}", "picture")

    def is_left(self) -> bool:
        """Whether some of this rank's share is not there yet."""
        return bool(self.missing(self.parts.found()))

    def missing(self, there: Mapping[tuple[int, int, str], Part]) -> list[int]:
        """Units of this rank's share that are not whole."""
        mine = (number for number in range(len(self.units)) if self.share.has(number))
        return [number for number in mine if not is_whole(of_unit(there, number, self.digests[number]))]

    def keep(self, part: Part, rows: Rows, form: Format) -> None:
        made = replace(part, rows=len(rows), broken=rows.broken)
        self.parts.keep(made, form.part(rows), may_be_late=self.share.rank > 0)

    def tasks(self, size: int, there: Mapping[tuple[int, int, str], Part], bar: "tqdm[Any]") -> Iterator[Task]:
        """The next unit is opened, which may copy a shard, while one is made."""
        missing = self.missing(there)
        mine = {digest for number, digest in enumerate(self.digests) if self.share.has(number)}
        bar.update(sum(part.rows for part in there.values() if part.digest in mine))
        for number, pictures in opened(self.units, missing):
            if self.units[number].count is None:
                bar.total = (bar.total or 0) + len(pictures)
            done = of_unit(there, number, self.digests[number])
            firsts = range(0, max(1, len(pictures)), size)
            for at in range(len(done), len(firsts)):
                some = pictures[firsts[at] : firsts[at] + size]
                part = Part(number, at, self.digests[number], len(some), 0, at == len(firsts) - 1)
                if some:
                    yield Task(part, some)
                else:
                    self.parts.keep(part, b"", may_be_late=self.share.rank > 0)

    def finish(self, form: type[Format]) -> Summary:
        """Joins the parts of all ranks: here, where they have been made; under a launcher, once they are there. Raises
        TarnError where they are not to come, and where they hold no row."""
        while (parts := self.whole()) is None:
            if self.share.ranks == 1 or not self.parts.folder.exists():
                raise TarnError(
                    f"{self.parts.out} cannot be joined, for some of {self.parts.folder} is gone, or its pictures have "
                    "changed meanwhile: give the same command again when nobody is at them."
                )
            time.sleep(LOOK)
        rows, broken = sum(part.rows for part in parts), sum(part.broken for part in parts)
        if not rows:
            raise TarnError("no shard that was given holds a picture: nothing was written.")
        self.parts.join([part for part in parts if part.rows], form)
        return Summary(rows, broken)

    def whole(self) -> list[Part] | None:
        """All parts in their order, None where one is missing yet."""
        there, found = self.parts.found(), list[Part]()
        for number, digest in enumerate(self.digests):
            mine = of_unit(there, number, digest)
            if not is_whole(mine):
                return None
            found += mine
        return found


def is_whole(parts: Sequence[Part]) -> bool:
    return bool(parts) and parts[-1].is_last


def opened(units: Sequence[Unit], numbers: Sequence[int]) -> Iterator[tuple[int, Sequence[NamedPicture]]]:
    """One ahead, by a thread that nobody waits for where the job is stopped."""
    coming = deque(begun(units[number].open) for number in numbers[:1])
    for at, number in enumerate(numbers):
        pictures = coming.popleft().result()
        coming.extend(begun(units[following].open) for following in numbers[at + 1 : at + 2])
        yield number, pictures


def begun(action: Callable[[], Sequence[NamedPicture]]) -> Future[Sequence[NamedPicture]]:
    future = Future[Sequence[NamedPicture]]()

    def act() -> None:
        try:
            future.set_result(action())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=act, name="tarn-opening", daemon=True).start()
    return future


def scored(each: Decoded, scorer: Scorer, embedder: Embedder | None, labels: LabelNumbers, top: int) -> Rows:
    """Broken pictures take no part in the batch, and have zeros in their rows."""
    count = len(each.pictures)
    sound = [row for row, error in enumerate(each.errors) if error is None]
    classes, probabilities = np.zeros((count, top), np.int64), np.zeros((count, top), np.float32)
    features = np.zeros((count, embedder.width), embedder.kind) if embedder is not None else None
    if sound:
        pixels = each.pixels if len(sound) == count else each.pixels[sound]
        if embedder is not None and features is not None:
            logits, features[sound] = embedder.logits_and_features(pixels)
        else:
            logits = scorer.logits(pixels)
        classes[sound], probabilities[sound] = likeliest(logits, top)
    return Rows(
        [picture.name for picture in each.pictures],
        [labels.of(picture.label) for picture in each.pictures],
        classes,
        probabilities,
        each.errors,
        features,
    )
