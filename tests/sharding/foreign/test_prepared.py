"""Lists of tars that other libraries prepared: Energon's folder .nv-meta, and the shard list of wids."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.foreign_checks import pictures_by_index, refused
from support.foreign_tars import samples, write
from support.web import served
from tarn.sharding.foreign.index import IndexConfig, Indexed, index


def four(root: Path) -> Path:
    """Tars whose names tell no split."""
    for number in range(4):
        write(root / "part" / f"{number}.tar", samples(range(10 * number, 10 * number + 5)))
    return root


def nv_meta(root: Path, counts: Any = None, **split: Any) -> Path:
    meta = root / ".nv-meta"
    meta.mkdir(parents=True, exist_ok=True)
    told = {"split_parts": {"train": ["part/{0..2}.tar"], "val": ["part/3.tar"], "test": []}, "exclude": [], **split}
    (meta / "split.yaml").write_text(yaml.safe_dump(told))
    counts = {f"part/{number}.tar": 5 for number in range(4)} if counts is None else counts
    (meta / ".info.json").write_text(json.dumps({"energon_version": "7.4.1", "shard_counts": counts}))
    return root


def pictures(done: Indexed) -> dict[str, int]:
    assert {split: len(found) for split, found in pictures_by_index(done).items()} == {
        name: split.samples for name, split in done.manifest.splits.items()
    }
    return {name: split.samples for name, split in done.manifest.splits.items()}


def test_the_splits_of_energon_are_read_where_they_lie(tmp_path: Path) -> None:
    root = nv_meta(four(tmp_path))
    assert pictures(index(str(root), IndexConfig())) == {"train": 15, "val": 5}


def test_tars_that_energon_leaves_out_are_left_out(tmp_path: Path) -> None:
    root = nv_meta(four(tmp_path), exclude=["part/{1..2}.tar"])
    assert pictures(index(str(root), IndexConfig())) == {"train": 5, "val": 5}


def test_an_older_energons_folder_is_read_and_patterns_count_more(tmp_path: Path) -> None:
    root = nv_meta(four(tmp_path))
    meta = root / ".nv-meta"
    (meta / "split.json").write_text(json.dumps(yaml.safe_load((meta / "split.yaml").read_text())))
    (meta / ".info.yaml").write_text((meta / ".info.json").read_text())
    for name in ("split.yaml", ".info.json"):
        (meta / name).unlink()
    assert pictures(index(str(root), IndexConfig(out=str(tmp_path / "a")))) == {"train": 15, "val": 5}
    chosen = IndexConfig(out=str(tmp_path / "b"), splits=("train=part/0.tar", "val=part/[12].tar"))
    assert pictures(index(str(root), chosen)) == {"train": 5, "val": 10}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"counts": {"part/1.tar": 4}}, r"1 tars? that their list counts otherwise \(part/1.tar: 4 there, 5 found"),
        ({"exclude": ["part/1.tar/3"]}, r"leaves out single samples \(part/1.tar/3\)"),
        ({"split_parts": {"train": ["../x.tar"]}}, "'../x.tar' is no name below its folder"),
        ({"split_parts": {"train": ["part/0.tar"]}}, "3 are not listed"),
        ({"split_parts": ["train"]}, "is no list of split_parts"),
    ],
)
def test_a_folder_of_energon_that_does_not_fit_is_refused(tmp_path: Path, more: dict[str, Any], told: str) -> None:
    refused(nv_meta(four(tmp_path), **more), told)


def test_energons_own_prepared_folder_is_read(tmp_path: Path) -> None:
    """As `energon prepare` makes it, with its own indexes beside the tars."""
    prepare = pytest.importorskip("megatron.energon.flavors.webdataset.prepare")
    epath = pytest.importorskip("megatron.energon.epathlib")
    root = four(tmp_path)
    prepare.WebdatasetPreparator.prepare_dataset(
        epath.EPath(root),
        [f"part/{number}.tar" for number in range(4)],
        split_parts_patterns=[("train", "part/[0-2].tar"), ("val", "part/3.tar")],
        progress_fn=lambda found, _: found,
        tar_index_only=False,
        workers=1,
    )
    assert (root / "part" / "0.tar.idx").exists()
    assert pictures(index(str(root), IndexConfig())) == {"train": 15, "val": 5}


def shard_list(path: Path, urls: list[str], **more: Any) -> Path:
    told = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": "train", **more}
    path.write_text(json.dumps({**told, "shardlist": [{"url": url, "nsamples": 5} for url in urls]}))
    return path


def test_a_shard_list_of_wids_names_the_tars_of_a_web_server_that_lists_none(tmp_path: Path) -> None:
    four(tmp_path / "web")
    shard_list(tmp_path / "web" / "shards.json", [f"part/{number}.tar" for number in range(3)])
    with served(tmp_path / "web") as web:
        chosen = IndexConfig(out=str(tmp_path / "out"), splits=("train=part/{0..2}.tar",))
        done = index(f"{web.url}/shards.json", chosen)
        assert done.manifest.data_root == web.url
        assert {name: split.samples for name, split in done.manifest.splits.items()} == {"train": 15}


def test_a_shard_list_may_lie_elsewhere_than_its_tars(tmp_path: Path) -> None:
    root = four(tmp_path / "tars")
    listed = shard_list(tmp_path / "list.json", [str(root / "part" / f"{number}.tar") for number in (1, 3)])
    done = index(str(listed), IndexConfig(out=str(tmp_path / "out"), splits=("val=*",)))
    assert pictures(done) == {"val": 10}
    based = shard_list(tmp_path / "based.json", ["2.tar"], base_path=str(root / "part"))
    assert pictures(index(str(based), IndexConfig(out=str(tmp_path / "more"), splits=("val=2.tar",)))) == {"val": 5}


def test_a_shard_list_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    root = four(tmp_path)
    wrong = json.loads(shard_list(root / "wrong.json", ["part/0.tar"]).read_text())
    wrong["shardlist"][0]["nsamples"] = 6
    (root / "wrong.json").write_text(json.dumps(wrong))
    out = {"out": str(tmp_path / "out"), "splits": ("train=*",)}
    refused(root / "wrong.json", r"part/0.tar: 6 there, 5 found", **out)
    refused(shard_list(root / "two.json", ["s3://a/x.tar", "s3://b/y.tar"]), "its tars lie in several places", **out)
    (root / "none.json").write_text("{}")
    refused(root / "none.json", "is no shard list of wids", **out)
