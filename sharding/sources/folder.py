"""torchvision's ImageFolder tree: train/<class>/**, val/<class>/**, called by any of the words for splits."""

from collections import Counter
from pathlib import Path

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Picture, Problems, Source
from tarn.sharding.sources.keys import unique_keys
from tarn.sharding.sources.place import File
from tarn.sharding.sources.splits import SYNONYMS, split_called
from tarn.sharding.sources.tree import (
    PassedOver,
    entries_of,
    folders_in,
    is_folder,
    is_picture,
    leads_nowhere,
    pictures_below,
)


def read_folder(root: Path, wanted: tuple[str, ...]) -> Source:
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
    names = class_folders(homes.get("train") or homes["val"], PassedOver())
    problems = Problems()
    splits = {
        split: read_split(home, names, problems, split == "train", passed)
        for split, home in homes.items()
        if split in wanted
    }
    problems.raise_if_any(str(root))
    return Source("folder", tuple(ClassInfo(name, name) for name in names), splits, passed)


def split_homes(root: Path, passed: PassedOver) -> dict[str, Path]:
    """The folder of each split that is packed. Raises UsageError where two may be of the same."""
    found: dict[str, list[str]] = {}
    for name in folders_in(root, passed):
        split = split_called(name)
        if split is None:
            passed.add(f"folders called like no split ({', '.join(SYNONYMS)})", str(root / name))
        else:
            found.setdefault(split, []).append(name)
    for split, names in found.items():
        if len(names) > 1:
            raise UsageError(f"{root} holds {' and '.join(names)}, which all mean {split}: leave one of them there.")
    if "test" in found:
        if "val" in found:
            passed.add("folders of test pictures, beside those of val", str(root / found["test"][0]))
        else:
            found["val"] = found["test"]
    return {split: root / found[split][0] for split in ("train", "val") if split in found}


def hint_for(root: Path) -> str:
    """What a folder without splits may be instead."""
    folders = class_folders(root, PassedOver())
    if not any(pictures_below(root / name) for name in folders):
        return ""
    if split_called(root.name) is not None:
        return f", but {root.name} holds classes as one split of such a tree does: give the folder above, {root.parent}"
    return f" (it holds class folders itself: move them into {root / 'train'})"


def read_split(
    home: Path, names: list[str], problems: Problems, complete: bool, passed: PassedOver
) -> tuple[Picture, ...]:
    """Every picture below the class folders. With complete, a class without pictures is a problem."""
    labels = {name: label for label, name in enumerate(names)}
    for name in class_folders(home, passed):
        if name not in labels:
            problems.add("class folders unknown to train", str(home / name))
    pass_over_loose(home, problems, passed)
    found: list[tuple[Path, int]] = []
    for name, label in labels.items():
        paths = pictures_below(home / name, passed, home) if (home / name).is_dir() else []
        if not paths and complete:
            problems.add("classes without pictures", str(home / name))
        found += [(path, label) for path in paths]
    texts = [f"{path.relative_to(home).parent.as_posix()}/{path.stem}" for path, _ in found]
    times = Counter(texts)
    texts = [text if times[text] == 1 else f"{text}{path.suffix}" for text, (path, _) in zip(texts, found, strict=True)]
    return listed(list(zip(unique_keys(texts), found, strict=True)), problems)


def class_folders(home: Path, passed: PassedOver) -> list[str]:
    """Sorted; hidden ones are passed over."""
    return folders_in(home, passed)


def pass_over_loose(home: Path, problems: Problems, passed: PassedOver) -> None:
    """Files beside class folders, which have no label. A link that leads nowhere may have been a class."""
    for entry in entries_of(home):
        if not is_folder(entry) and is_picture(entry, passed):
            if leads_nowhere(entry):
                problems.add("links that lead nowhere", entry.path)
            else:
                passed.add("pictures beside the class folders", entry.path)


def listed(named: list[tuple[str, tuple[Path, int]]], problems: Problems) -> tuple[Picture, ...]:
    """By key. What cannot be found behind its name, such as a link that leads nowhere, is added to the problems."""
    pictures = []
    for key, (path, label) in named:
        try:
            pictures.append(Picture(key, File(str(path)), label, path.stat().st_size))
        except OSError as error:
            kind = "links that lead nowhere" if path.is_symlink() else "pictures that cannot be looked at"
            problems.add(kind, f"{path}: {error.strerror}")
    return tuple(sorted(pictures, key=lambda picture: picture.key))
