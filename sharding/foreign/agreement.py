"""What all tars of a dataset tell together: its classes, and what does not fit."""

from collections.abc import Mapping, Sequence

from tarn.sharding.foreign.classes import CLASSES, classes_of, numbers_of
from tarn.sharding.foreign.layout import Layout
from tarn.sharding.foreign.notes import label_notes, repeat_note
from tarn.sharding.foreign.problems import AGAIN, LABEL, advice, which_have
from tarn.sharding.foreign.repeats import repeats
from tarn.sharding.foreign.samples import Samples
from tarn.sharding.foreign.scan import Scan
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Problems


def check(
    layout: Layout,
    scans: Mapping[str, Scan],
    listed: Sequence[ClassInfo] | None,
    url: str,
    doing: str = "indexed",
    word: str = CLASSES,
) -> tuple[tuple[ClassInfo, ...], tuple[str, ...]]:
    """The classes, and what is worth a note. doing: what is refused; word: by which the
    list of classes is given. Raises one TarnError that counts and names all
    that does not fit."""
    problems = Problems()
    add_problems(scans, problems)
    if word == CLASSES and none_has_a_label(scans):
        problems.advise("say --label none if samples have no class (captions, boxes, masks)")
    tars = {name: scan.samples for name, scan in scans.items() if scan.samples is not None}
    splits = {split: [tar.name for tar in members if tar.name in tars] for split, members in layout.splits.items()}
    notes = [note for split, names in splits.items() for note in check_keys(split, names, tars, problems)]
    classes = classes_of(tars, listed, problems, word)
    problems.raise_if_any(url, doing)
    members = {split: [tars[name] for name in names] for split, names in splits.items()}
    return classes, (*notes, *label_notes(members, numbers_of(classes)))


def add_problems(scans: Mapping[str, Scan], problems: Problems) -> None:
    """Of single tars and samples."""
    single = [problem for scan in scans.values() if scan.samples is not None for problem in scan.samples.problems]
    have = which_have(single)
    for name, scan in scans.items():
        if scan.samples is None:
            problems.add("damaged tars", f"{name}: {scan.damage}")
            continue
        for problem in scan.samples.problems:
            problems.add(problem.kind + have.get(problem.kind, ""), f"{name}: {problem.key}")
        seen = len(scan.samples.records) + len(scan.samples.problems)
        if not seen:
            problems.add("tars without a sample", name)
        if scan.tar.told is not None and scan.tar.told != seen:
            problems.add("tars that their list counts otherwise", f"{name}: {scan.tar.told} there, {seen} found")
    problems.advise(advice(single))
    if any(problem.kind == AGAIN for problem in single):
        problems.advise("sort the members by name, for those of a sample must follow each other")


def none_has_a_label(scans: Mapping[str, Scan]) -> bool:
    """Whether every sample lacks one, and nothing else."""
    found = [scan.samples for scan in scans.values() if scan.samples is not None]
    lacks = [problem.lacks for samples in found for problem in samples.problems]
    return bool(lacks) and set(lacks) == {(LABEL,)} and not any(len(samples.records) for samples in found)


def check_keys(split: str, names: Sequence[str], tars: Mapping[str, Samples], problems: Problems) -> list[str]:
    """Those of a split that come again. names: of its tars."""
    found = repeats([tars[name] for name in names])
    kind = f"pairs of tars of {split} that hold the same samples"
    for shared in found.same:
        both = " and ".join(names[place] for place in shared.tars)
        problems.add(kind, f"{both}: {shared.count:,}, such as {shared.key}")
        problems.advise("remove one tar of each pair, or leave it out by --split")
    for _ in range(found.pairs - len(found.same)):
        problems.add(kind, "")  # counted only
    return [repeat_note(split, names, found.others)] if found.others is not None else []
