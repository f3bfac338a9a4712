"""A tree of pictures turned into what tables tell of it: listings, and parquet as the Hugging Face hub lays it out."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PICTURES = Path("ILSVRC", "Data", "CLS-LOC")


def rows_of_kaggle(tree: Path) -> list[dict[str, str]]:
    """Path below the tree, wnid and split of each picture, in no order."""
    told = (tree / "LOC_val_solution.csv").read_text().splitlines()[1:]
    wnids = {row.split(",")[0]: row.split(",")[1].split()[0] for row in told}
    rows = [
        {"path": str(file.relative_to(tree)), "label": wnids.get(file.stem, file.parent.name), "split": split}
        for split in ("train", "val")
        for file in sorted((tree / PICTURES / split).rglob("*.JPEG"))
    ]
    return rows[::2] + rows[1::2]


def wnids_of(tree: Path) -> list[str]:
    return sorted(line.split(" ", 1)[0] for line in (tree / "LOC_synset_mapping.txt").read_text().splitlines())


def names_of(tree: Path) -> list[str]:
    """By class number."""
    return [line.split(" ", 1)[1] for line in sorted((tree / "LOC_synset_mapping.txt").read_text().splitlines())]


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], end: str = "\n", mark: str = "", comma: str = ",") -> Path:
    """mark: before all, as a BOM is."""
    with path.open("w", encoding="utf-8", newline="") as out:
        out.write(mark)
        writer = csv.DictWriter(out, list(rows[0]), delimiter=comma, lineterminator=end)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]], end: str = "\n") -> Path:
    path.write_text("".join(json.dumps(row) + end for row in rows), newline="")
    return path


def hub_parquet(tree: Path, folder: Path, files: int = 3, group: int = 7, with_path: bool = True) -> Path:
    """Of the Kaggle tree: data/train-00000-of-00003.parquet ..., rows of {image: {bytes, path}, label}, so many a row
    group, the names of the classes in the schema's metadata."""
    rows, wnids = rows_of_kaggle(tree), wnids_of(tree)
    (folder / "data").mkdir(parents=True)
    for split, name in (("train", "train"), ("val", "validation")):
        mine = [row for row in rows if row["split"] == split]
        for number in range(files):
            some = [
                {
                    "image": {
                        "bytes": (tree / row["path"]).read_bytes(),
                        "path": Path(row["path"]).name if with_path else None,
                    },
                    "label": wnids.index(row["label"]),
                }
                for row in mine[number::files]
            ]
            write_parquet(folder / "data" / f"{name}-{number:05}-of-{files:05}.parquet", some, names_of(tree), group)
    return folder


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], names: Sequence[str] | None, group: int = 7) -> Path:
    """names: of the classes, as a ClassLabel; None for no metadata."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {"image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "label": pa.int64()}
    schema = pa.schema([(name, kinds.get(name) or pa.array([rows[0][name]]).type) for name in rows[0]])
    if names is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
        schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), path, row_group_size=group)
    return path
