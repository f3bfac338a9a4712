"""torchvision's ImageFolder tree: train/<class>/**, val/<class>/**, called by any of the words for splits."""

import errno
from collections import Counter
from collections.abc import Iterable

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Picture, Problems, Source
from tarn.sharding.sources.keys import unique_keys
from tarn.sharding.sources.splits import SYNONYMS, split_called
from tarn.sharding.sources.tree import (
    EXTENSIONS,
    Folder,
    Found,
    PassedOver,
    folders_in,
    is_picture,
    pictures_below,
)


def read_folder(root: Folder, wanted: tuple[str, ...]) -> Source:
    """Classes are the sorted names of the folders in train (in val, where there is no train).

    A tree with test but no val gives its test pictures as the split val. Raises TarnError for what is no such tree.
    """
    passed = PassedOver()
    homes = split_homes(root, passed)
    if not homes:
        raise UsageError(
            f"{root} is neither a Kaggle ILSVRC tree (ILSVRC/Data/CLS-LOC) nor an ImageFolder tree "
            f"(train/<class>/*, val/<class>/*){hint_for(root)}."
        )
    names = folders_in(homes["train" if "train" in homes else "val"], PassedOver())
    problems = Problems()
    splits = {
        split: read_split(home, names, problems, split == "train", passed)
        for split, home in homes.items()
        if split in wanted
    }
    problems.raise_if_any(str(root))
    return Source("folder", tuple(ClassInfo(name, name) for name in names), splits, passed)


def split_homes(root: Folder, passed: PassedOver) -> dict[str, Folder]:
    """The folder of each split that is packed. Raises UsageError where two may be of the same."""
    found: dict[str, list[str]] = {}
    for name in folders_in(root, passed):
        split = split_called(name)
        if split is None:
            passed.add(f"folders called like no split ({', '.join(SYNONYMS)})", f"{root}/{name}")
        else:
            found.setdefault(split, []).append(name)
    for split, names in found.items():
        if len(names) > 1:
            raise UsageError(f"{root} holds {' and '.join(names)}, which all mean {split}: leave one of them there.")
    if "test" in found:
        if "val" in found:
            passed.add("folders of test pictures, beside those of val", f"{root}/{found['test'][0]}")
        else:
            found["val"] = found["test"]
    return {split: root.folder(found[split][0]) for split in ("train", "val") if split in found}


def hint_for(root: Folder) -> str:
    """What a folder without splits may be instead."""
    if not list(root.entries()):
        return ", for nothing lies there"
    folders = folders_in(root, PassedOver())
    if not any(pictures_below(root, name, PassedOver()) for name in folders):
        return f" (it holds pictures itself: move them into {root}/train/<class>)" if holds_pictures(root) else ""
    if split_called(root.name) is not None:
        above = str(root).rpartition("/")[0] or "."
        return f", but {root.name} holds classes as one split of such a tree does: give the folder above, {above}"
    return f" (it holds class folders itself: move them into {root}/train)"


def holds_pictures(home: Folder) -> bool:
    return any(not entry.is_folder and is_picture(entry, home, PassedOver()) for entry in home.entries())


def read_split(
    home: Folder, names: list[str], problems: Problems, complete: bool, passed: PassedOver
) -> tuple[Picture, ...]:
    """Every picture below the class folders. With complete, a class without pictures is a problem."""
    labels = {name: label for label, name in enumerate(names)}
    there = set(folders_in(home, passed))
    for name in sorted(there - set(labels)):
        problems.add("class folders unknown to train", f"{home}/{name}")
        problems.advise("take folders of no class of train out of the other split")
    pass_over_loose(home, problems, passed)
    found, numbers = list[Found](), list[int]()
    above = home.around()
    for name, label in labels.items():
        here = PassedOver()
        pictures = pictures_below(home, name, here, above) if name in there else []
        if not pictures and complete:
            add_empty("classes without pictures", f"{home}/{name}", here, problems)
            problems.advise("take empty folders out")
        passed.take(here)
        found += pictures
        numbers += [label] * len(pictures)
    texts = [f"{picture.folder}/{picture.stem}" for picture in found]
    if len(set(texts)) < len(texts):
        times = Counter(texts)
        texts = [
            text if times[text] == 1 else f"{text}{picture.suffix}" for text, picture in zip(texts, found, strict=True)
        ]
    return listed(unique_keys(texts), found, numbers, problems)


def add_empty(kind: str, folder: str, here: PassedOver, problems: Problems) -> None:
    """A folder without pictures, and what it holds in their place. here: what was passed over in it."""
    if not here.found:
        problems.add(kind, folder)
        return
    problems.add(kind, f"{folder}, which holds {here}")
    problems.advise(f"what is read ends in {', '.join(EXTENSIONS)}: make one of these of other formats")


def pass_over_loose(home: Folder, problems: Problems, passed: PassedOver) -> None:
    """Files beside class folders, which have no label. A link that leads nowhere may have been a class."""
    for entry in home.entries():
        if not entry.is_folder and is_picture(entry, home, passed):
            if entry.is_lost:
                problems.add("links that lead nowhere", f"{home}/{entry.name}")
            else:
                passed.add("pictures beside the class folders", f"{home}/{entry.name}")


def listed(keys: Iterable[str], found: list[Found], labels: Iterable[int], problems: Problems) -> tuple[Picture, ...]:
    """By key. found: emptied, for a million of both would take the memory of both. What cannot be found behind its
    name, such as a link that leads nowhere, is added to the problems."""
    pictures = []
    found.reverse()
    for key, label in zip(keys, labels, strict=True):
        one = found.pop()
        try:
            pictures.append(Picture(key, one.place, label, one.place.length()))
        except FileNotFoundError as error:
            problems.add("links that lead nowhere", f"{one.place}: {error.strerror}")
        except OSError as error:
            kind = "links that lead nowhere" if error.errno == errno.ELOOP else "pictures that cannot be looked at"
            problems.add(kind, f"{one.place}: {error.strerror}")
    pictures.sort(key=lambda picture: picture.key)
    return tuple(pictures)
