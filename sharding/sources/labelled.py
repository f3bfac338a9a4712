"""Pictures of ImageNet's two splits, wherever they come from: the same pictures get the same keys and labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tarn.sharding.sources import Picture, Problems
from tarn.sharding.sources.folder import add_empty, listed, pass_over_loose
from tarn.sharding.sources.keys import unique_keys
from tarn.sharding.sources.tree import Folder, Found, PassedOver, folders_in, pictures_below


@dataclass(frozen=True, slots=True)
class Told:
    """What a list tells of val. labels: by the name of a picture, -1 where its row is a problem itself; file: the
    list's name; row: what a line of it is called."""

    labels: Mapping[str, int]
    file: str
    row: str = "row"


def read_train(
    home: Folder, labels: Mapping[str, int], file: str, problems: Problems, passed: PassedOver
) -> tuple[Picture, ...]:
    """Folders called by their wnids. labels: of all wnids, as the file of that name tells."""
    found, numbers = list[Found](), list[int]()
    folders, above = folders_in(home, passed), home.around()
    pass_over_loose(home, problems, passed)
    for wnid in folders:
        if wnid not in labels:
            problems.add(f"wnids unknown to {file}", str(home.folder(wnid)))
            continue
        here = PassedOver()
        pictures = pictures_below(home, wnid, here, above)
        if not pictures:
            add_empty("class folders without pictures", str(home.folder(wnid)), here, problems)
        passed.take(here)
        found += pictures
        numbers += [labels[wnid]] * len(pictures)
    for wnid in sorted(set(labels) - set(folders)):
        problems.add("wnids without a training folder (unpacked in part? else take them out of the list)", wnid)
    return named(found, numbers, problems)


def read_val(home: Folder, told: Told, problems: Problems, passed: PassedOver) -> tuple[Picture, ...]:
    """Flat as downloaded, or moved into class folders by one of the usual scripts: the list alone gives the label."""
    found: dict[str, Found] = {}
    for picture in pictures_below(home, "", passed):
        name = picture.stem
        if name in found:
            problems.add("val pictures of one name", f"{picture.place} and {found[name].place}")
        found[name] = picture
    for name in sorted(set(found) - set(told.labels)):
        problems.add(f"val pictures without a {told.row} in {told.file}", found[name].name)
    for name in sorted(set(told.labels) - set(found)):
        problems.add(f"{told.row}s of {told.file} without a picture in val", name)
    known = {name: label for name in found if (label := told.labels.get(name, -1)) >= 0}
    return named([found[name] for name in known], list(known.values()), problems)


def named(found: list[Found], labels: Sequence[int], problems: Problems) -> tuple[Picture, ...]:
    texts = [picture.stem for picture in found]
    if len(set(texts)) < len(texts):  # never in the real set, perhaps in somebody's own
        times = Counter(texts)
        texts = [
            text if times[text] == 1 else f"{picture.above}_{text}{picture.suffix}"
            for text, picture in zip(texts, found, strict=True)
        ]
        times = Counter(texts)  # folders of one name lie in several classes
        texts = [
            text if times[text] == 1 else f"{picture.folder}/{picture.name}"
            for text, picture in zip(texts, found, strict=True)
        ]
    return listed(unique_keys(texts), found, labels, problems)
