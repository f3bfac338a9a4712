"""A dataset with a manifest, packed or indexed here, as a source: places and labels by its indexes.

The indexes have the digests of the manifest, the tars its sizes, and each picture the CRC-32 of its index when it is
read. The SHA-256 of the tars are not taken, for that reads them twice: `verify` does.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tarn.sharding.foreign.reading import Reading
from tarn.sharding.format.manifest import Manifest, Split
from tarn.sharding.looking.windows import Windows
from tarn.sharding.progress import progress_bar
from tarn.sharding.resharding.keys import Found, pictures_of
from tarn.sharding.resharding.others import KEPT
from tarn.sharding.resharding.shard import Looked, NotToldError, Shard
from tarn.sharding.resharding.words import KIND, SampleWords
from tarn.sharding.sizes import counted
from tarn.sharding.sources import Problems, Source
from tarn.sharding.sources.tree import PassedOver

AT_A_TIME = 32  # tars of a store that are looked at side by side: each look is a request


@dataclass(frozen=True, slots=True)
class Dataset:
    """root: of manifest and indexes. words: which members go along. read: takes the names of splits."""

    root: str
    manifest: Manifest
    words: SampleWords = field(default_factory=SampleWords)

    @property
    def what(self) -> str:
        count = sum(len(split.shards) for split in self.manifest.splits.values())
        indexed = any(split.indexed for split in self.manifest.splits.values())
        told = f"an indexed dataset of {counted(count, 'tar')}"
        told = told if indexed else f"a packed dataset of {counted(count, 'shard')}"
        return f"{told}, read in place; pictures are compared with the CRC-32 of its indexes"

    def read(self, wanted: tuple[str, ...]) -> Source:
        """Raises TarnError that counts and names what is not as the manifest says."""
        problems, passed, splits = Problems(), PassedOver(), {}
        there, beside = self.manifest.splits, Counter[str]()
        for name in wanted:
            of = "test" if name == "val" and "val" not in there else name
            if of in there:
                splits[name] = pictures_of(self.samples(there[of], problems, beside), problems)
        taken = {"train", "val"} if "val" in there else {"train", "test"}
        for name in there.keys() - taken:
            passed.add("splits other than train and val", name)
        problems.advise("`python -m tarn.sharding verify` tells more, `repair` mends" if problems.found else None)
        problems.raise_if_any(self.root)
        self.words.keep.refuse_absent(beside)
        told, notes = self.words.packed() | self.words.keep.kept(beside), self.words.keep.notes(beside)
        return Source(KIND, self.manifest.classes, splits, passed, told, notes, held=self.manifest)

    def samples(self, split: Split, problems: Problems, beside: Counter[str]) -> list[Found]:
        """Adds to the problems, and to the counts of members beside pictures and labels."""
        windows, reading = Windows(self.manifest.shards_root(self.root)), Reading.of(split.packed)
        keep = self.words.keep if split.indexed or KEPT in split.packed else None
        count = len(self.manifest.classes)
        shards = [Shard(self.root, windows, info, count, reading, keep) for info in split.shards]
        found: list[Found] = []
        bar = progress_bar(len(shards), "reading headers", "tar")
        try:
            with ThreadPoolExecutor(1 if windows.reader is None else AT_A_TIME) as pool:
                for part in pool.map(look, shards):
                    if isinstance(part, NotToldError):
                        problems.add(part.kind, part.which)
                    else:
                        found += part.found
                        beside.update(part.beside)
                    bar.update()
        finally:
            bar.close()
        return found


def look(shard: Shard) -> Looked | NotToldError:
    try:
        return shard.look()
    except NotToldError as error:
        return error
