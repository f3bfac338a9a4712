"""The Kaggle ILSVRC download, unpacked or a zip; val is labelled from LOC_val_solution.csv, no file is moved."""

import csv
import io

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Problems, Source
from tarn.sharding.sources.labelled import Told, read_train, read_val
from tarn.sharding.sources.tree import Folder, PassedOver

PICTURES = "ILSVRC/Data/CLS-LOC"
SOLUTION, SYNSETS = "LOC_val_solution.csv", "LOC_synset_mapping.txt"
ZIP = "imagenet-object-localization-challenge.zip"


def is_kaggle(root: Folder) -> bool:
    return root.folder(PICTURES).is_there()


def read_kaggle(root: Folder, wanted: tuple[str, ...]) -> Source:
    """Class index: the rank of a wnid among the sorted wnids of LOC_synset_mapping.txt, in train and val alike.

    Raises TarnError that counts and names what does not fit together.
    """
    classes = read_synsets(root)
    labels = {info.wnid: label for label, info in enumerate(classes)}
    problems, passed, splits = Problems(), PassedOver(), {}
    train, val = (root.folder(f"{PICTURES}/{split}") for split in ("train", "val"))
    if "train" in wanted and train.is_there():
        splits["train"] = read_train(train, labels, SYNSETS, problems, passed)
    if "val" in wanted and val.is_there():
        splits["val"] = read_val(val, Told(read_solution(root, labels, problems), SOLUTION), problems, passed)
    problems.raise_if_any(str(root))
    return Source("kaggle", classes, splits, passed)


def read_text(root: Folder, name: str, why: str) -> str:
    """UTF-8, whatever its line ends, with or without a mark of its byte order. Raises TarnError."""
    try:
        return root.read(name).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TarnError(f"{root}/{name} cannot be read ({error}): it {why}, unpack it beside ILSVRC.") from error


def read_synsets(root: Folder) -> tuple[ClassInfo, ...]:
    """Lines of `wnid name, other name`, sorted here by wnid."""
    problems, infos = Problems(), {}
    for number, line in enumerate(read_text(root, SYNSETS, "names the classes").splitlines(), 1):
        wnid, _, name = line.strip().partition(" ")
        if not wnid:
            continue
        if wnid in infos:
            problems.add("wnids listed twice", f"{wnid} in line {number}")
        infos[wnid] = ClassInfo(wnid, name.strip() or wnid)
    if not infos:
        problems.add("lists without a line `wnid name`", SYNSETS)
    problems.raise_if_any(f"{root}/{SYNSETS}")
    return tuple(infos[wnid] for wnid in sorted(infos))


def read_solution(root: Folder, labels: dict[str, int], problems: Problems) -> dict[str, int]:
    """Image name to class index, -1 where the row itself is a problem. A row: `ImageId,wnid x y x y wnid x y x y `."""
    told: dict[str, int] = {}
    text = read_text(root, SOLUTION, "labels val")
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise TarnError(f"{root}/{SOLUTION} cannot be read ({error}): download it again.") from error
    if not rows or [cell.strip() for cell in rows[0]] != ["ImageId", "PredictionString"]:
        raise TarnError(f"{root}/{SOLUTION} starts with {rows[:1]}, expected the header ImageId,PredictionString.")
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
