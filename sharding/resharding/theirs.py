"""WebDataset tars that somebody else packed, as a source: read where they lie, by their headers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tarn.sharding.archives.jumps import TarMember
from tarn.sharding.foreign.agreement import check
from tarn.sharding.foreign.classes import numbers_of
from tarn.sharding.foreign.labels import Label
from tarn.sharding.foreign.layout import Layout, Tar, layout_of
from tarn.sharding.foreign.tars import Tars
from tarn.sharding.resharding.keys import Found, pictures_of
from tarn.sharding.resharding.others import Keep, Others
from tarn.sharding.resharding.scan import Headers, read_headers, sum_repeated
from tarn.sharding.resharding.words import CLASS_LIST, KIND, SampleWords
from tarn.sharding.sources import Problems, Source
from tarn.sharding.sources.tree import PassedOver

ADVICE = "say which by --split train or --split val, or, where they are of both, name those of one by a pattern too"


@dataclass(slots=True)
class TheirTars:
    """read: takes the names of splits. What was read of a tar's headers is kept."""

    url: str
    tars: Tars
    words: SampleWords
    known: dict[str, Headers] = field(default_factory=dict)

    @property
    def what(self) -> str:
        count = len(self.tars.names) if self.tars.names is not None else 0
        return f"{f'{count:,} ' if count else ''}WebDataset tar{'s' * (count != 1)}, read in place"

    def read(self, wanted: tuple[str, ...]) -> Source:
        """Classes are those of the list that was given, else of all splits that may be packed. Raises TarnError that
        counts and names what does not fit together."""
        layout = layout_of(self.tars, (), wanted[0] if len(wanted) == 1 else None, ADVICE)
        passed = PassedOver()
        for split in layout.splits.keys() - {"train", "val"}:
            for tar in layout.splits[split]:
                passed.add("tars of other splits than train and val", tar.name)
        needed = wanted if self.words.classes is not None else ("train", "val")
        splits = {name: tars for name, tars in layout.splits.items() if name in needed}
        found = self.headers(layout, [tar for tars in splits.values() for tar in tars])
        for tars in splits.values():
            sum_repeated(found, [tar.name for tar in tars])
        scans = {name: headers.scan for name, headers in found.items()}
        classes, notes = check(Layout(layout.root, splits), scans, self.words.classes, self.url, "packed", CLASS_LIST)
        numbers, problems = numbers_of(classes), Problems()
        taken = {
            name: pictures_of(
                [each for tar in tars for each in samples_of(tar, found[tar.name], numbers, self.words.keep)], problems
            )
            for name, tars in splits.items()
            if name in wanted
        }
        problems.raise_if_any(self.url)
        for name in taken:
            for tar in splits[name]:
                passed.take(found[tar.name].passed)
        beside = Counter[str]()
        for tar in (tar for name in taken for tar in splits[name]):
            if (samples := found[tar.name].scan.samples) is not None:
                beside.update(samples.beside)
        self.words.keep.refuse_absent(beside)
        as_they_lie = f"to train from these tars as they lie, `python -m tarn.sharding index {self.url}` does"
        notes = (*notes, *self.words.keep.notes(beside), as_they_lie)
        return Source(KIND, classes, taken, passed, self.words.packed() | self.words.keep.kept(beside), notes)

    def headers(self, layout: Layout, tars: Sequence[Tar]) -> dict[str, Headers]:
        new = [tar for tar in tars if tar.name not in self.known]
        self.known |= read_headers(layout.root, new, self.words.reading)
        return {tar.name: self.known[tar.name] for tar in tars}


def samples_of(tar: Tar, headers: Headers, numbers: Mapping[Label, int], keep: Keep) -> list[Found]:
    samples, archive = headers.scan.samples, headers.archive
    assert samples is not None  # a damaged tar was told of before
    has_others = any(map(keep.takes, samples.beside))
    return [
        Found(
            key,
            tar.name,
            TarMember(archive, f"{key}{ending}", offset, size),
            label,
            others=Others.around(archive, keep, (begin, end), offset, size) if has_others else None,
        )
        for key, ending, (offset, size, label, _), (begin, end) in zip(
            samples.keys, samples.endings, samples.numbered(numbers).tolist(), samples.spans.tolist(), strict=True
        )
    ]
