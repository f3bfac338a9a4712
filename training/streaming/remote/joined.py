"""One source of all samples of a plan: of several datasets as of one, with the labels that they are to have."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tarn.sharding.storage.persistence import Reader
from tarn.training.streaming.origin import Origin, Origins
from tarn.training.streaming.remote.source import source_of
from tarn.training.streaming.remote.traffic import Traffic
from tarn.training.streaming.sources import Opening, Place, Sample, Source


def joined_source(
    origins: Origins, traffic: Traffic | None, number: int, reader: Reader | None = None, whole: bool = False
) -> Source:
    """number: of this process in the traffic. reader: one of the tars' root of a single dataset that has its
    connections open, if there is one. whole: samples with all of their members."""
    firsts = origins.firsts.tolist()
    sources = [
        source_of_origin(
            origin, traffic.of_shards(first, len(origin.shards)) if traffic else None, number, reader, whole
        )
        for origin, first in zip(origins.each, firsts, strict=True)
    ]
    if len(sources) == 1 and origins.each[0].relabelling is None:
        return sources[0]
    return JoinedSource(origins, sources)


def source_of_origin(
    origin: Origin, traffic: Traffic | None, number: int, reader: Reader | None, whole: bool
) -> Source:
    return source_of(origin.root, origin.tars, origin.shards, origin.access, traffic, number, reader, whole)


class JoinedSource(Source):
    """Shards are numbered one dataset behind the other."""

    def __init__(self, origins: Origins, sources: Sequence[Source]) -> None:
        super().__init__("", "", tuple(shard for source in sources for shard in source.shards))
        self.origins, self.sources = origins, sources
        self.threads: ThreadPoolExecutor | None = None

    def read(self, places: Sequence[Place]) -> list[Sample]:
        """In the order of the places; of each dataset all at once."""
        found: dict[int, Sample] = {}
        rows_of = {number: rows for number, rows in enumerate(self.rows_of(places)) if rows}

        def read(number: int) -> list[Sample]:
            return self.sources[number].read([self.within(places[row]) for row in rows_of[number]])

        for (_, rows), samples in zip(rows_of.items(), self.at_once(read, list(rows_of)), strict=True):
            found |= dict(zip(rows, samples, strict=True))
        self.counters = sum((source.counters for source in self.sources), Counter[str]())
        return [self.relabelled(place, found[row]) for row, place in enumerate(places)]

    def at_once(self, read: Callable[[int], list[Sample]], numbers: Sequence[int]) -> Iterable[list[Sample]]:
        """Of several datasets in stores side by side, for each is a wait of its own."""
        if sum(not self.origins.each[number].is_local for number in numbers) < 2:
            return map(read, numbers)
        if self.threads is None:
            self.threads = ThreadPoolExecutor(len(self.sources), thread_name_prefix="tarn-part")
        return self.threads.map(read, numbers)

    def rows_of(self, places: Sequence[Place]) -> list[list[int]]:
        """Of each dataset."""
        rows: list[list[int]] = [[] for _ in self.sources]
        for row, (shard, _) in enumerate(places):
            rows[self.origins.at(shard)[0]].append(row)
        return rows

    def within(self, place: Place) -> Place:
        """In its own dataset."""
        return self.origins.at(place[0])[1], place[1]

    def relabelled(self, place: Place, sample: Sample) -> Sample:
        number, shard = self.origins.at(place[0])
        relabelling = self.origins.each[number].relabelling
        if relabelling is None:
            return sample
        return replace(sample, label=relabelling.label(shard, place[1], sample.label))

    def take_in(self, opening: Opening) -> None:
        """Of a single dataset: of several nothing is read ahead."""
        (source,) = self.sources
        source.take_in(opening)

    def load_indexes(self, shards: set[int]) -> None:
        for number, source in enumerate(self.sources):
            source.load_indexes({within for of, within in map(self.origins.at, shards) if of == number})

    def name(self, shard: int) -> str:
        """With its root, where there are several."""
        number, within = self.origins.at(shard)
        return self.sources[number].name(within) if len(self.sources) == 1 else self.url(shard)

    def url(self, shard: int) -> str:
        number, within = self.origins.at(shard)
        return self.sources[number].url(within)
