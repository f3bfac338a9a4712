"""Fields of a table beside the samples: by key, in any format, on any workers; what has no row."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from support.datasets import picture_tree
from support.foreign_tars import write_members
from support.loaders import shard_loader
from support.membered import encoded, picture_of
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.training.streaming import Boxes, BoxLabels, Json, MultiLabel, Number, Part, Row, SoftLabel, Text

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """24 training pictures of three classes."""
    root = tmp_path_factory.mktemp("rows")
    pack(picture_tree(root / "pictures"), str(root / "shards"), PackConfig(shard_size=10_000))
    return str(root / "shards")


def batches(url: object, fields: dict[str, Any], workers: int = 0) -> list[Any]:
    loader = shard_loader(
        url, global_batch=6, image_size=16, lanes=2, num_workers=workers, keys=True, fields=fields, train=False
    )
    found = list(loader)
    loader.close()
    return found


def told_of(packed: str) -> Rows:
    """A row for each sample, which differs from all others."""
    keys = [key for batch in batches(packed, {"own": "label"}) for key in batch.keys]
    return [
        {"key": key, "labels": [at % 3, (at + 1) % 3], "p": [at / 24, 1 - at / 24], "score": at, "said": f"no. {at}"}
        for at, key in enumerate(keys)
    ]


def written(path: Path, rows: Rows) -> str:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


@pytest.mark.parametrize(("name", "workers"), [("rows.jsonl", 0), ("rows.parquet", 1)])
def test_rows_of_a_table_are_fields_of_their_samples(packed: str, tmp_path: Path, name: str, workers: int) -> None:
    rows = told_of(packed)
    table = written(tmp_path / name, rows[::-1])
    fields = {
        "labels": Row(table, of=MultiLabel("json:labels", classes=3)),
        "soft": Row(table, of=SoftLabel("json:p", classes=2)),
        "score": Row(table, of=Number("json:score")),
        "said": Row(table, of=Text("json:said")),
        "own": "label",
    }
    found = batches(packed, fields, workers)
    by_key = {row["key"]: row for row in rows}
    for batch in found:
        mine = [by_key[key] for key in batch.keys]
        assert [[at for at, is_there in enumerate(row) if is_there] for row in batch.labels.tolist()] == [
            sorted(row["labels"]) for row in mine
        ]
        assert batch.fields["soft"].tolist() == [pytest.approx(row["p"]) for row in mine]
        assert batch.fields["score"].tolist() == [row["score"] for row in mine]
        assert list(batch.fields["said"]) == [row["said"] for row in mine]
    assert sum(len(batch.keys) for batch in found) == 24


def test_a_csv_is_a_table_too_and_parts_have_its_rows(packed: str, tmp_path: Path) -> None:
    rows = told_of(packed)
    (tmp_path / "rows.csv").write_text("score,key\n" + "".join(f"{row['score']},{row['key']}\n" for row in rows))
    fields = {"score": Row(str(tmp_path / "rows.csv"), of=Number("json:score")), "own": "label"}
    found = batches([Part(packed, samples=(0, 5)), Part(packed, samples=(7, 9), label_offset=3)], fields)
    assert [int(score) for batch in found for score in batch.fields["score"]] == [0, 1, 2, 3, 4, 7, 8]
    labels = [int(label) for batch in found for label in batch.fields["own"]]
    assert max(labels[:5]) < 3 <= min(labels[5:])


def test_a_sample_without_a_row_is_refused_or_empty(packed: str, tmp_path: Path) -> None:
    rows = told_of(packed)
    table = written(tmp_path / "rows.jsonl", rows[1:])
    with pytest.raises(TarnError, match=f"{rows[0]['key']}.*has no row of its key"):
        batches(packed, {"labels": Row(table, of=MultiLabel("json:labels", classes=3))})
    found = batches(packed, {"labels": Row(table, of=MultiLabel("json:labels", classes=3, optional=True))})
    assert found[0].labels.tolist()[0] == [0, 0, 0]


def test_tables_without_keys_and_fields_of_other_members_are_refused(packed: str, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("name,score\na,1\n")
    with pytest.raises(UsageError, match="needs of=, a field of json"):
        Row("rows.csv", of=Number("txt"))
    with pytest.raises(UsageError, match="needs of="):
        Row("rows.csv")
    twice = written(tmp_path / "twice.jsonl", told_of(packed)[:1] * 2)
    for table, told in ((str(tmp_path / "none.csv"), "no column key, but name, score"), (twice, "several rows")):
        with pytest.raises(TarnError, match=told):
            batches(packed, {"row": Row(table, of=Json("json"))})


def test_rows_of_names_that_are_no_ustar_are_found(tmp_path: Path) -> None:
    """Their whole names stand in pax headers, and the picture's own header has `?` or the first 100 characters."""
    keys = [*(f"d\u00e9j\u00e0{number}" for number in range(3)), *("long" * 30 + str(number) for number in range(3))]
    members = [(f"{key}.jpg", encoded(picture_of(number))) for number, key in enumerate(keys)]
    write_members(tmp_path / "train-0.tar", members, tarfile.PAX_FORMAT)
    index(tmp_path, IndexConfig(label="none"))
    table = written(tmp_path / "rows.jsonl", [{"key": key, "at": number} for number, key in enumerate(keys)])
    (batch,) = batches(str(tmp_path), {"at": Row(table, of=Number("json:at", optional=True, missing=-1))})
    assert batch.at.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_line_of_jsonl_has_columns_of_its_own(packed: str, tmp_path: Path) -> None:
    rows = told_of(packed)
    few = [{"key": rows[0]["key"]}, *rows[1:]]
    found = batches(packed, {"row": Row(written(tmp_path / "rows.jsonl", few), of=Json("json"))})
    assert [row for batch in found for row in batch.row] == few


def test_boxes_of_a_table_are_clipped_with_what_is_told_of_them(packed: str, tmp_path: Path) -> None:
    """Pictures are 64 x 48, of which an evaluation shows the middle."""
    rows = [
        {**row, "boxes": [[0, 0, 64, 48], [0, 0, 2, 48]], "kinds": [at, 99]} for at, row in enumerate(told_of(packed))
    ]
    table = written(tmp_path / "rows.jsonl", rows)
    kinds = Row(table, of=BoxLabels("json:kinds", boxes="boxes"))
    found = batches(packed, {"boxes": Row(table, of=Boxes("json:boxes")), "kinds": kinds})
    assert [kind.tolist() for batch in found for kind in batch.kinds] == [[at] for at in range(24)]
    assert all(box.tolist() == [[0, 0, 16, 16]] for batch in found for box in batch.boxes)
    with pytest.raises(UsageError, match="boxes='boxes', and no field of Boxes before it has that name"):
        batches(packed, {"kinds": kinds})


def test_a_text_says_what_of_a_row_is_wanted_as_it_does_of_a_member(packed: str, tmp_path: Path) -> None:
    rows = told_of(packed)
    table = written(tmp_path / "rows.jsonl", rows)
    found = batches(packed, {"said": Row(table, of="json:said")})
    assert found[0].fields["said"][0] in {row["said"] for row in rows}
    with pytest.raises(UsageError, match="needs of=, a field of json"):
        Row(table, of="txt")
