"""The Kaggle ILSVRC download as it unpacks; val is labelled from LOC_val_solution.csv, no file is moved."""

import csv
from collections import Counter
from pathlib import Path

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Picture, Problems, Source
from tarn.sharding.sources.folder import class_folders, listed, pass_over_loose
from tarn.sharding.sources.keys import unique_keys
from tarn.sharding.sources.tree import PassedOver, pictures_below

PICTURES = Path("ILSVRC", "Data", "CLS-LOC")
SOLUTION, SYNSETS = "LOC_val_solution.csv", "LOC_synset_mapping.txt"


def is_kaggle(root: Path) -> bool:
    return (root / PICTURES).is_dir()


def read_kaggle(root: Path, wanted: tuple[str, ...]) -> Source:
    """Class index: the rank of a wnid among the sorted wnids of LOC_synset_mapping.txt, in train and val alike.

    Raises TarnError that counts and names what does not fit together.
    """
    classes = read_synsets(root / SYNSETS)
    labels = {info.wnid: label for label, info in enumerate(classes)}
    problems, passed, splits = Problems(), PassedOver(), {}
    if "train" in wanted and (root / PICTURES / "train").is_dir():
        splits["train"] = read_train(root / PICTURES / "train", labels, problems, passed)
    if "val" in wanted and (root / PICTURES / "val").is_dir():
        splits["val"] = read_val(root / PICTURES / "val", root / SOLUTION, labels, problems, passed)
    problems.raise_if_any(str(root))
    return Source("kaggle", classes, splits, passed)


def read_synsets(path: Path) -> tuple[ClassInfo, ...]:
    """Lines of `wnid name, other name`, sorted here by wnid."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TarnError(f"{path} cannot be read ({error}): it names the classes, unpack it beside ILSVRC.") from error
    problems, infos = Problems(), {}
    for number, line in enumerate(lines, 1):
        wnid, _, name = line.strip().partition(" ")
        if not wnid:
            continue
        if wnid in infos:
            problems.add("wnids listed twice", f"{wnid} in line {number}")
        infos[wnid] = ClassInfo(wnid, name.strip() or wnid)
    if not infos:
        problems.add("lines of `wnid name` expected but none found", path.name)
    problems.raise_if_any(str(path))
    return tuple(infos[wnid] for wnid in sorted(infos))


def read_train(home: Path, labels: dict[str, int], problems: Problems, passed: PassedOver) -> tuple[Picture, ...]:
    found: list[tuple[Path, int]] = []
    folders = class_folders(home, passed)
    pass_over_loose(home, problems, passed)
    for wnid in folders:
        if wnid not in labels:
            problems.add(f"wnids unknown to {SYNSETS}", str(home / wnid))
            continue
        paths = pictures_below(home / wnid, passed, home)
        if not paths:
            problems.add("class folders without pictures", str(home / wnid))
        found += [(path, labels[wnid]) for path in paths]
    for wnid in sorted(set(labels) - set(folders)):
        problems.add("wnids without a training folder (unpacked in part? else take them out of the list)", wnid)
    return named(found, problems)


def read_val(
    home: Path, solution: Path, labels: dict[str, int], problems: Problems, passed: PassedOver
) -> tuple[Picture, ...]:
    """Flat as downloaded, or moved into class folders by one of the usual scripts: the CSV alone gives the label."""
    told = read_solution(solution, labels, problems)
    paths: dict[str, Path] = {}
    for path in pictures_below(home, passed):
        if path.stem in paths:
            problems.add("val pictures of one name", f"{path} and {paths[path.stem]}")
        paths[path.stem] = path
    for name in sorted(set(paths) - set(told)):
        problems.add(f"val pictures without a row in {SOLUTION}", paths[name].name)
    for name in sorted(set(told) - set(paths)):
        problems.add(f"rows of {SOLUTION} without a picture in val", name)
    return named([(path, told[name]) for name, path in paths.items() if told.get(name, -1) >= 0], problems)


def read_solution(path: Path, labels: dict[str, int], problems: Problems) -> dict[str, int]:
    """Image name to class index, -1 where the row itself is a problem. A row: `ImageId,wnid x y x y wnid x y x y `."""
    told: dict[str, int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TarnError(f"{path} cannot be read ({error}): it labels val, unpack it beside ILSVRC.") from error
    if not rows or [cell.strip() for cell in rows[0]] != ["ImageId", "PredictionString"]:
        raise TarnError(f"{path} starts with {rows[:1]}, expected the header ImageId,PredictionString.")
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        name, wnids = row[0].strip(), row[1].split()[::5] if len(row) == 2 else []
        if name in told:
            problems.add(f"rows given twice in {SOLUTION}", f"{name} in line {number}")
        told[name] = -1
        if not wnids or len(row[1].split()) % 5:
            problems.add(f"rows of {SOLUTION} that are not `wnid x y x y` repeated", f"{name} in line {number}")
        elif len(set(wnids)) > 1:
            problems.add(f"rows of {SOLUTION} with several wnids", f"{name}: {' '.join(sorted(set(wnids)))}")
        elif wnids[0] not in labels:
            problems.add(f"wnids of {SOLUTION} unknown to {SYNSETS}", f"{wnids[0]} of {name}")
        else:
            told[name] = labels[wnids[0]]
    return told


def named(found: list[tuple[Path, int]], problems: Problems) -> tuple[Picture, ...]:
    times = Counter(path.stem for path, _ in found)  # unique in the real set, perhaps not in somebody's own
    texts = [
        path.stem if times[path.stem] == 1 else f"{path.parent.name}_{path.stem}{path.suffix}" for path, _ in found
    ]
    return listed(list(zip(unique_keys(texts), found, strict=True)), problems)
