"""Which shards are meant, of which split they are, and what is told of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from support.datasets import contents, picture_tree
from support.web import served
from support.webdataset_tars import members, webdataset_tars, write_tar
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.sources.find import look_at, read_source


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_tree(tmp_path_factory.mktemp("seen") / "tree")


@pytest.fixture
def tars(tree: Path, tmp_path: Path) -> Path:
    """x-train-0000.tar to 0002, x-val-0000.tar."""
    return webdataset_tars(read_source(tree, "all"), tmp_path / "tars", of_each=10)


def counts(given: str | Path, split: str = "all", kind: str = "auto") -> dict[str, int]:
    return {name: len(found) for name, found in read_source(given, split, kind).splits.items()}


def tars_of(root: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(root).items() if name.endswith((".tar", ".idx"))}


def pictures_of(root: Path) -> list[tuple[str, int, bytes]]:
    return [(it.key, it.label, it.place.read()) for split in read_source(root, "all").splits.values() for it in split]


def test_pack_sees_shards_and_tells_how_to_train_without_packing(
    tars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pack", str(tars), str(tmp_path / "out"), "--workers=1"]) == 0
    told = capsys.readouterr().out
    assert f"source: 4 WebDataset tars, read in place, {tars}\n" in told
    assert f"`python -m tarn.sharding index {tars}`" in told
    assert "train: 24 pictures" in told


def test_a_pattern_wildcards_and_a_single_tar_name_those_that_are_meant(tars: Path) -> None:
    assert counts(f"{tars}/x-train-{{0000..0001}}.tar") == {"train": 20}
    assert counts(f"{tars}/x-train-000[12].tar") == {"train": 14}
    assert counts(f"{tars.parent}/*/*-0000.tar") == {"train": 10, "val": 6}
    assert counts(f"{tars}/*") == {"train": 24, "val": 6}
    assert counts(tars / "x-val-0000.tar") == {"val": 6}
    with pytest.raises(TarnError, match="holds no tars"):
        counts(f"{tars}/y-*.tar")
    with pytest.raises(UsageError, match=r"x-train-0003\.tar is not there: check"):
        look_at(f"{tars}/x-train-{{0000..0003}}.tar")


def test_a_wildcard_stands_for_no_slash(tars: Path) -> None:
    shutil.copytree(tars, tars / "deeper")
    assert counts(f"{tars}/*.tar") == {"train": 24, "val": 6}


def test_where_no_name_tells_a_split_the_one_that_was_asked_for_is_meant(tars: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(tars.glob("x-train-*"))):
        path.rename(tars / f"{number:05d}.tar")
    (tars / "x-val-0000.tar").unlink()
    assert counts(tars, "train") == {"train": 24}
    assert counts(f"{tars}/{{00001..00002}}.tar", "val") == {"val": 14}
    with pytest.raises(
        TarnError, match=r"3 tars whose names tell no split .*: say which by --split train or --split val, or"
    ):
        counts(tars)
    write_tar(tars / "val.tar", [])
    with pytest.raises(TarnError, match="3 tars whose names tell no split"):
        counts(tars, "train")


def test_tars_of_other_splits_are_passed_over(tars: Path) -> None:
    shutil.copy(tars / "x-val-0000.tar", tars / "x-test-0000.tar")
    found = read_source(tars, "all")
    assert found.passed.counts == {"tars of other splits than train and val": 1}
    assert sorted(found.splits) == ["train", "val"]
    (tars / "x-val-0000.tar").unlink()
    assert counts(tars) == {"train": 24, "val": 6}


def test_a_tree_stays_a_tree_whatever_tars_lie_in_it(tree: Path, tars: Path, tmp_path: Path) -> None:
    both = shutil.copytree(tree, tmp_path / "both")
    shutil.copytree(tars, both, dirs_exist_ok=True)
    assert look_at(both).what == "an ImageFolder tree"
    assert counts(both) == {"train": 24, "val": 6}
    assert read_source(both, "all", "shards").kind == "shards"


def test_tars_in_folders_called_like_splits_are_shards(tars: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / "in" / split).mkdir(parents=True)
    for path in tars.iterdir():
        path.rename(tmp_path / "in" / ("val" if "val" in path.name else "train") / path.name[-8:])
    (tmp_path / "in" / "preview.jpg").write_bytes(b"of all of them")
    assert look_at(tmp_path / "in").what == "4 WebDataset tars, read in place"
    assert counts(tmp_path / "in") == {"train": 24, "val": 6}


def test_a_manifest_of_somebody_else_makes_no_dataset(tree: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tree, tmp_path / "copy")
    for text in ('{"name": "an app"}', "[]", "no json"):
        (copy / "manifest.json").write_text(text)
        assert look_at(copy).what == "an ImageFolder tree"


def test_a_packed_dataset_and_an_indexed_one_are_seen(tree: Path, tars: Path, tmp_path: Path) -> None:
    pack(tree, tmp_path / "ours", PackConfig(shard_size=20_000))
    assert look_at(tmp_path / "ours").what.startswith("a packed dataset of ")
    index(str(tars), IndexConfig(out=str(tmp_path / "index")))
    for given in (tmp_path / "index", tmp_path / "ours"):
        told, wanted = read_source(given, "all"), read_source(tree, "all")
        assert [info.wnid for info in told.classes] in (["0", "1", "2"], ["class0", "class1", "class2"])
        assert {name: [(picture.key, picture.label) for picture in split] for name, split in told.splits.items()} == {
            name: [(picture.key, picture.label) for picture in split] for name, split in wanted.splits.items()
        }
    assert look_at(tmp_path / "index").what.startswith("an indexed dataset of 4 tars")


def test_names_as_tar_writes_them_of_a_folder_make_the_same_keys(tree: Path, tmp_path: Path) -> None:
    found = read_source(tree, "val").splits["val"]
    write_tar(tmp_path / "dots" / "val.tar", [(f"./{name}", data) for it in found for name, data in members(it)])
    index(str(tmp_path / "dots"), IndexConfig(out=str(tmp_path / "index")))
    for given in (tmp_path / "dots", tmp_path / "index"):
        assert [it.key for it in read_source(given, "val").splits["val"]] == [it.key for it in found]


def test_words_about_samples_are_refused_where_the_source_is_none_of_shards(tree: Path, tmp_path: Path) -> None:
    pack(tree, tmp_path / "ours", PackConfig())
    for given in (tree, tmp_path / "ours"):
        assert main(["pack", str(given), str(tmp_path / "out"), "--label=json"]) == 2
    assert not (tmp_path / "out").exists()


def test_shards_of_a_web_server_are_given_by_a_pattern(tree: Path, tars: Path, tmp_path: Path) -> None:
    pack(tree, tmp_path / "one", PackConfig())
    with served(tars.parent) as web:
        pack(f"{web.url}/tars/x-{{train-000{{0..2}},val-0000}}.tar", tmp_path / "two", PackConfig())
        assert all(told for path, told in web.asked if path.endswith(".tar")), "only ranges were asked for"
        with pytest.raises(UsageError, match="lists no folders"):
            look_at(f"{web.url}/tars")
        with pytest.raises(TarnError, match=r"x-train-0007\.tar"):
            read_source(f"{web.url}/tars/x-train-0007.tar", "all")
    assert tars_of(tmp_path / "one") == tars_of(tmp_path / "two")


@pytest.fixture
def store() -> Iterator[str]:
    yield "memory://resharded"
    fsspec.filesystem("memory").rm("memory://resharded", recursive=True)


def test_shards_of_a_store_are_packed_from_there_and_not_into_it(
    tree: Path, tars: Path, store: str, tmp_path: Path
) -> None:
    fsspec.filesystem("memory").put(f"{tars}/", f"{store}/tars/", recursive=True)
    pack(tree, f"{store}/ours", PackConfig(shard_size=20_000))
    pack(tree, tmp_path / "wanted", PackConfig())
    for given, out in (("tars", "a"), ("tars/x-*.tar", "b"), ("ours", "c")):
        pack(f"{store}/{given}", tmp_path / out, PackConfig())
        assert pictures_of(tmp_path / out) == pictures_of(tmp_path / "wanted")
    assert look_at(f"{store}/tars").what == "4 WebDataset tars, read in place"
    for given, out in (("tars", "tars"), ("tars", "tars/deeper"), ("tars/x-*.tar", ""), ("ours", "ours/again")):
        with pytest.raises(UsageError, match="choose a folder beside it"):
            pack(f"{store}/{given}", f"{store}/{out}", PackConfig(overwrite=True))


def test_a_packed_dataset_of_a_web_server_is_found_by_its_manifest(tree: Path, tmp_path: Path) -> None:
    pack(tree, tmp_path / "ours", PackConfig(shard_size=20_000))
    with served(tmp_path) as web:
        found = read_source(f"{web.url}/ours", "all")
    assert {name: len(split) for name, split in found.splits.items()} == {"train": 24, "val": 6}
