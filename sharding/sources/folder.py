"""torchvision's ImageFolder tree: train/<class>/**, val/<class>/** (or test/<class>/**)."""

import os
from collections import Counter
from pathlib import Path

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Picture, Problems, Source
from tarn.sharding.sources.keys import unique_keys

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
FOLDERS = {"train": ("train",), "val": ("val", "test")}


def read_folder(root: Path, wanted: tuple[str, ...]) -> Source:
    """Classes are the sorted names of the folders in train (in val, where there is no train).

    A tree with test but no val gives its test pictures as the split val. Raises TarnError for what is no such tree.
    """
    homes = {split: home for split in FOLDERS if (home := split_home(root, split)) is not None}
    if not homes:
        loose = [name for name in class_folders(root) if pictures_below(root / name)]
        hint = f" (it holds class folders itself: move them into {root / 'train'})" if loose else ""
        raise TarnError(
            f"{root} is neither a Kaggle ILSVRC tree (ILSVRC/Data/CLS-LOC) nor an ImageFolder tree "
            f"(train/<class>/*, val/<class>/*){hint}."
        )
    names = class_folders(homes.get("train") or homes["val"])
    problems = Problems()
    splits = {
        split: read_split(home, names, problems, split == "train") for split, home in homes.items() if split in wanted
    }
    problems.raise_if_any(str(root))
    return Source("folder", tuple(ClassInfo(name, name) for name in names), splits)


def split_home(root: Path, split: str) -> Path | None:
    return next((root / name for name in FOLDERS[split] if (root / name).is_dir()), None)


def read_split(home: Path, names: list[str], problems: Problems, complete: bool) -> tuple[Picture, ...]:
    """Every picture below the class folders. With complete, a class without pictures is a problem."""
    labels = {name: label for label, name in enumerate(names)}
    for name in class_folders(home):
        if name not in labels:
            problems.add("class folders unknown to train", str(home / name))
    found: list[tuple[Path, int]] = []
    for name, label in labels.items():
        paths = pictures_below(home / name) if (home / name).is_dir() else []
        if not paths and complete:
            problems.add("classes without pictures", str(home / name))
        found += [(path, label) for path in paths]
    texts = [f"{path.relative_to(home).parent.as_posix()}/{path.stem}" for path, _ in found]
    times = Counter(texts)
    texts = [text if times[text] == 1 else f"{text}{path.suffix}" for text, (path, _) in zip(texts, found, strict=True)]
    return listed(list(zip(unique_keys(texts), found, strict=True)))


def listed(named: list[tuple[str, tuple[Path, int]]]) -> tuple[Picture, ...]:
    pictures = [Picture(key, path, label, path.stat().st_size) for key, (path, label) in named]
    return tuple(sorted(pictures, key=lambda picture: picture.key))


def class_folders(home: Path) -> list[str]:
    """Sorted; hidden ones are left out."""
    return sorted(entry.name for entry in home.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def pictures_below(folder: Path) -> list[Path]:
    """Every file with a picture's ending, in subfolders too (links are followed), as ImageFolder finds them."""
    return [
        Path(home, name)
        for home, _, files in os.walk(folder, followlinks=True)
        for name in files
        if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
    ]
