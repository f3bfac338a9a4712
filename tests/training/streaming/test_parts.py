"""Several datasets in one ShardLoader: shares, exactness over ranks, workers and restarts, classes, subsets, labels."""

import csv
import json
import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.datasets import picture_tree
from support.loaders import shard_loader
from support.membered import membered
from support.web import served
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import parse_index, read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.training.streaming import OrderConfig, Part, ShardLoader
from tarn.training.streaming.access import AccessConfig
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.holdout import hold_out
from tarn.training.streaming.parts.opened import open_blend
from tarn.training.streaming.subset import Holdout

Seen = list[tuple[str, int]]
SMALL = {"image_size": 16, "lanes": 2, "active_shards": 2, "keys": True, "seed": 3}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Datasets of the same three classes with 30, 24 and 9 training pictures, of keys that tell them apart."""
    found = []
    for number, each in enumerate((10, 8, 3)):
        root = tmp_path_factory.mktemp("part")
        tree = picture_tree(root / "pictures", train=each)
        for path in sorted(tree.rglob("*.jpg")):
            path.rename(path.with_name(f"part{number}-{path.name}"))
        pack(tree, str(root / "shards"), PackConfig(shard_size=10_000))
        found.append(str(root / "shards"))
    return found


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARN_CACHE", str(tmp_path / "own-cache"))


def at_5_2_1(three: list[str]) -> list[Part]:
    return [Part(url, weight=weight) for url, weight in zip(three, (5, 2, 1), strict=True)]


def loader(parts: object, workers: int = 0, **more: object) -> ShardLoader:
    return shard_loader(parts, num_workers=workers, **{"global_batch": 16, **SMALL, **more})  # type: ignore[arg-type]


def rows(batches: object) -> Seen:
    return [
        (key, int(label))
        for batch in batches  # type: ignore[attr-defined]
        for key, label in zip(batch.keys, batch.labels, strict=True)
    ]


def part_of(key: str) -> int:
    return int(key.rpartition("part")[2][0])


def test_each_global_batch_has_the_parts_at_5_2_1_and_no_picture_comes_twice_in_a_pass(three: list[str]) -> None:
    told = loader(at_5_2_1(three))
    stream: list[str] = []
    for _ in range(6):
        for batch in told:
            assert Counter(map(part_of, batch.keys)) == {0: 10, 1: 4, 2: 2}
            stream += batch.keys
    for number, size in enumerate((30, 24, 9)):
        mine = [key for key in stream if part_of(key) == number]
        begun = -(-len(mine) // size)
        assert len(set(mine[:size])) >= size - 10  # of the first pass, but for the deal of the batch in which it ends
        assert set(Counter(mine).values()) <= {begun - 1, begun}


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_any_ranks_and_workers_give_the_same_global_batches_resumed_at_random_places(
    three: list[str], ranks: int
) -> None:
    whole = loader(at_5_2_1(three))
    undisturbed = [sorted(zip(batch.keys, batch.labels.tolist(), strict=True)) for _ in range(3) for batch in whole]
    draw, state, found = random.Random(ranks), None, list[list[tuple[str, int]]]()
    while len(found) < len(undisturbed):  # each turn is another process's loaders
        turn = draw.randint(1, 4)
        group = [loader(at_5_2_1(three), rank == 0, rank=rank, world_size=ranks) for rank in range(ranks)]
        for one in group:
            if state is not None:
                one.load_state_dict(json.loads(state))
        for batches, _ in zip(zip(*group, strict=True), range(turn), strict=False):
            found.append(sorted(pair for batch in batches for pair in rows([batch])))
            state = json.dumps(group[0].state_dict())
            if len(found) == len(undisturbed):
                break
        for one in group:
            one.close()
    assert found == undisturbed


def test_without_shares_an_epoch_goes_through_each_part_once(three: list[str]) -> None:
    told = loader(three, global_batch=9)
    keys = [key for key, _ in rows(told)]
    assert len(keys) == 63
    assert len(set(keys)) == 63


def test_passes_tell_how_often_an_epoch_goes_through_a_part(three: list[str]) -> None:
    told = loader([Part(three[0]), Part(three[2], passes=3)], global_batch=19)
    seen = Counter(key for key, _ in rows(told))
    assert len(told) == 3
    assert {number: {seen[key] for key in seen if part_of(key) == number} for number in (0, 2)} == {0: {1}, 2: {3}}


def test_an_epoch_may_be_of_any_length_for_one_dataset_too(three: list[str]) -> None:
    told = loader(three[0], epoch_samples=40)
    assert len(told) == 2
    stream = [key for _ in range(15) for key, _ in rows(told)]
    assert set(Counter(stream).values()) == {16}  # 480 samples of 30


def test_an_evaluation_shows_every_part_once_one_behind_the_other(three: list[str]) -> None:
    told = shard_loader(at_5_2_1(three), num_workers=0, train=False, global_batch=16, **SMALL)  # type: ignore[arg-type]
    keys = [key for key, _ in rows(told)]
    assert len(set(keys)) == len(keys) == 63
    assert [part_of(key) for key in keys] == sorted(part_of(key) for key in keys)


def test_parts_of_a_store_and_of_a_disk_give_the_batches_of_disks_alone(three: list[str], tmp_path: Path) -> None:
    here = rows(loader(at_5_2_1(three)))
    with served(Path(three[1])) as web:
        parts = [Part(three[0], weight=5), Part(web.url, weight=2), Part(three[2], weight=1)]
        for cache in ("none", str(tmp_path / "cache")):
            there = loader(parts, 1, cache=cache)
            assert rows(there) == here
            there.close()
    assert any(path.suffix == ".bin" for path in (tmp_path / "cache").iterdir())


def test_a_state_of_other_parts_names_the_part(three: list[str], tmp_path: Path) -> None:
    state = loader(at_5_2_1(three)).state_dict()
    first, second, third = three
    for parts, told in (
        ([first, second], "has 3 parts, this run has 2 parts"),
        (first, "has 3 parts, this run has a single dataset"),
        ([Part(first, weight=5), Part(third, weight=2), Part(third, weight=1)], rf"part 2 \({third}, train\)"),
        ([Part(first, weight=5), Part(second, weight=2), Part(third, weight=1, fraction=0.9)], "part 3"),
        ([Part(first, weight=5), Part(second, weight=3), Part(third, weight=1)], r"weights=\[5, 2, 1\]"),
    ):
        with pytest.raises(TarnError, match=told):
            loader(parts).load_state_dict(state)
    moved = loader(at_5_2_1([first, str(shutil.copytree(second, tmp_path / "moved")), third]))
    moved.load_state_dict(json.loads(json.dumps(state)))
    with pytest.raises(TarnError, match="a single dataset, this run has 3 parts"):
        moved.load_state_dict(loader(first).state_dict())


def other_classes(three: list[str], to: Path, rename: dict[str, tuple[str, str]]) -> str:
    """A copy of the third dataset, whose classes are called otherwise: wnid and name."""
    shutil.copytree(three[2], to)
    told = json.loads((to / "manifest.json").read_text())
    for info in told["classes"]:
        info["wnid"], info["name"] = rename.get(info["wnid"], (info["wnid"], info["name"]))
    if "reverse" in rename:
        told["classes"].reverse()
    (to / "manifest.json").write_text(json.dumps(told))
    return str(to)


def labels(seen: Seen) -> dict[str, int]:
    return {key: label for key, label in seen if part_of(key) == 2}


def test_classes_of_a_part_are_found_as_it_is_told_or_it_is_refused(three: list[str], tmp_path: Path) -> None:
    plain = labels(rows(loader([three[0], three[2]], global_batch=13)))
    other = other_classes(three, tmp_path / "other", {"reverse": ("", "")})  # label 0 means class2 there
    with pytest.raises(UsageError, match="number 0 is class2, in the stream class0"):
        loader([three[0], other])
    found = labels(rows(loader([three[0], Part(other, class_map="wnid")], global_batch=13)))
    assert found == {key: 2 - label for key, label in plain.items()}
    named = other_classes(three, tmp_path / "named", {"class0": ("n1", "class1"), "class1": ("n2", "class0")})
    found = labels(rows(loader([three[0], Part(named, class_map="name")], global_batch=13)))
    assert found == {key: {0: 1, 1: 0, 2: 2}[label] for key, label in plain.items()}
    with pytest.raises(UsageError, match="no class of the stream has the wnid of its class n1"):
        loader([three[0], Part(named, class_map="wnid")])
    loader([three[0], Part(named, class_map="wnid", classes=("class2",))])
    more = loader([three[0], Part(named, label_offset=3)], global_batch=13)
    assert labels(rows(more)) == {key: label + 3 for key, label in plain.items()}
    assert [info.wnid for info in more.classes] == ["class0", "class1", "class2", "n1", "n2", "class2"]
    with pytest.raises(UsageError, match="label_offset=4 leaves classes without a name"):
        loader([three[0], Part(named, label_offset=4)])


def evaluated(part: object) -> Seen:
    return rows(shard_loader(part, num_workers=0, train=False, global_batch=16, **SMALL))  # type: ignore[arg-type]


def test_a_subset_is_what_its_words_say(three: list[str], tmp_path: Path) -> None:
    whole = evaluated(Part(three[0]))
    assert evaluated(Part(three[0], samples=(7, 19))) == whole[7:19]
    assert evaluated(Part(three[0], classes=("class1", "2"))) == [row for row in whole if row[1] in (1, 2)]
    tenth, rest = evaluated(Part(three[0], fraction=0.3)), evaluated(Part(three[0], fraction=(0.3, 1)))
    assert sorted(tenth + rest) == sorted(whole)
    assert 0 < len(tenth) < 20
    listed = tmp_path / "keys.txt"
    listed.write_text("\n".join(key for key, _ in whole[5:25:4]))
    assert evaluated(Part(three[0], keys=str(listed))) == whole[5:25:4]
    kept = sorted((tmp_path / "own-cache" / "keys").iterdir())
    assert len(kept) > 1
    assert sum(path.stat().st_size - 12 for path in kept) == 8 * 30
    for damage in (b"", b"damaged"):  # as it was kept, and where that is not whole
        kept[0].write_bytes(kept[0].read_bytes() + damage)
        assert evaluated(Part(three[0], keys=str(listed))) == whole[5:25:4]
    assert evaluated(Part(three[0], keys=str(listed), samples=(0, 10))) == whole[5:10:4]
    with served(Path(three[0])) as web:
        assert evaluated(Part(web.url, keys=str(listed))) == whole[5:25:4]


def test_a_fraction_holds_out_what_a_run_holds_out_to_validate_on(three: list[str]) -> None:
    access = AccessConfig().resolve(three[0])
    left, held = hold_out(three[0], read_manifest(three[0]), Holdout(0.3, val_split="held"), access)
    for fraction, subset in (((0.3, 1), left), (0.3, held)):
        told = loader(Part(three[0], fraction=fraction), global_batch=4).plan.subset
        assert told is not None
        assert told.bits == subset.bits


def test_a_bad_picture_of_a_part_is_replaced_by_one_of_its_shard_on_any_ranks(three: list[str], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(three[1], tmp_path / "copy"))
    shard = read_manifest(str(copy)).split("train").shards[1]
    offset, size, *_ = parse_index((copy / shard.index_name).read_bytes(), shard.index_name)[0].item()
    with (copy / shard.name).open("r+b") as file:
        file.seek(offset)
        file.write(bytes(size))
    parts, ledger = [three[0], str(copy)], tmp_path / "bad.jsonl"
    more: dict[str, Any] = {"global_batch": 9, "policy": "replace", "bad_sample_ledger": ledger}
    whole = [sorted(rows([batch])) for batch in loader(parts, **more)]
    group = [loader(parts, 1, rank=rank, world_size=2, **more) for rank in range(2)]
    assert [sorted(rows(batches)) for batches in zip(*group, strict=True)] == whole
    for one in group:
        one.close()
    (entry,) = map(json.loads, ledger.read_text().splitlines())
    assert entry["shard"] == str(copy / shard.name)
    within = {key for key, _ in evaluated(Part(three[1])) if key != entry["key"]}
    seen = [key for batch in whole for key, _ in batch if part_of(key) == 1]
    assert set(seen) == within
    assert len(seen) == 24


def test_a_part_is_taken_as_programs_write_it(three: list[str], tmp_path: Path) -> None:
    listed = tmp_path / "keys.txt"
    listed.write_text("a\n")
    given: dict[str, Any] = {"fraction": [0.1, 1], "samples": [0, 9], "keys": listed, "labels": listed, "classes": 1}
    told = Part(Path(three[0]), **given)  # type: ignore[arg-type]
    assert told == Part(three[0], fraction=(0.1, 1), samples=(0, 9), keys=str(listed), labels=str(listed), classes=(1,))
    assert Part(three[0], classes="dog").classes == ("dog",)  # type: ignore[arg-type]


def test_keys_that_the_dataset_does_not_have_are_told(three: list[str], tmp_path: Path) -> None:
    whole = evaluated(Part(three[0]))
    (tmp_path / "keys.txt").write_text("\n".join([*(key for key, _ in whole[:5]), "n1/one", "n1/other"]))
    told = loader(Part(three[0], keys=str(tmp_path / "keys.txt")), global_batch=5).take_warnings()
    assert [warning for warning in told if "keys" in warning] == [
        f"2 of the 7 keys in {tmp_path}/keys.txt are no samples of {three[0]}."
    ]


def test_each_part_is_reached_by_options_of_its_own(three: list[str]) -> None:
    with served(Path(three[0]), key="one") as first, served(Path(three[1]), key="other") as second:
        options: list[dict[str, Any]] = [{"client_kwargs": {"headers": {"X-Key": key}}} for key in ("one", "other")]
        parts = [Part(web.url, storage_options=told) for web, told in zip((first, second), options, strict=True)]
        there = loader(parts, 1, global_batch=9)
        seen = rows(there)
        there.close()
        with pytest.raises(TarnError, match=second.url):
            loader([parts[0], Part(second.url, storage_options=options[0])])
    assert seen == rows(loader([Part(url) for url in three[:2]], global_batch=9))


def test_subsets_that_are_none_are_refused_by_name(three: list[str], tmp_path: Path) -> None:
    strange = tmp_path / "strange.txt"
    strange.write_text("n1/nowhere\n")
    for more, told in (
        ({"classes": ("dog",)}, "'dog' is no class of its 3"),
        ({"keys": str(strange)}, "names no sample of .*such as class"),
        ({"keys": str(tmp_path / "none.txt")}, "cannot be read"),
        ({"samples": (100, 200)}, "nothing of 'train' is chosen"),
        ({"fraction": (0.5, 0.5)}, r"fraction=\[0.5, 0.5\]"),
        ({"weight": -1}, "weight=-1 must be a number above 0"),
        ({"weight": "5"}, "weight=5 must be a number above 0"),
        ({"fraction": "10%"}, "fraction=10% must be a number, or two"),
        ({"samples": (0, "9")}, "must be two whole numbers"),
        ({"keys": ["n1/a"]}, r"keys=\[n1/a\] must be the path of a file: write one, a key in each line"),
        ({"split": "test", "fraction": 0.5}, r"shards has no split 'test': name one that it has by Part"),
        ({"class_map": "sound"}, "class_map='sound' is unknown"),
        ({"missing": "drop"}, "is about a table"),
        ({"weight": True}, "weight=true must be a number"),
        ({"passes": "2"}, "passes=2 must be a number"),
        ({"fraction": (0.1,)}, r"fraction=\[0.1\] must be a number, or two"),
        ({"fraction": (0, 0.5, 1)}, r"fraction=\[0, 0.5, 1\] must be a number, or two"),
        ({"samples": (1,)}, r"samples=\[1\] must be two whole numbers"),
        ({"samples": (0, 2.5)}, r"samples=\[0, 2.5\] must be two whole numbers"),
        ({"samples": 5}, "samples=5 must be two whole numbers"),
        ({"label_offset": 1.5}, "label_offset=1.5 must be a whole number"),
    ):
        with pytest.raises(UsageError, match=told):
            loader(Part(three[0], **more))  # type: ignore[arg-type]
    for parts in ([Part(three[0], weight=2), three[1]], [Part(three[0], weight=2), Part(three[1], passes=1)]):
        with pytest.raises(UsageError, match="1 of 2 parts tell a weight"):
            loader(parts)
    with pytest.raises(UsageError, match=r"by these weights .e\+19 samples: begin with a part of a larger weight"):
        loader([Part(three[0], weight=1e-18), Part(three[1], weight=1)])
    with pytest.raises(UsageError, match="repeats=2"):
        loader(three, repeats=2)
    with pytest.raises(UsageError, match="names no dataset"):
        loader([])


def table(path: Path, pairs: list[tuple[str, object]]) -> str:
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("label", "key"), *((label, key) for key, label in pairs)])
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"key": key, "label": label}) + "\n" for key, label in pairs))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        keys, told = zip(*pairs, strict=True)
        parquet.write_table(pyarrow.table({"key": list(keys), "label": list(told)}), path)
    return str(path)


@pytest.mark.parametrize("name", ["labels.csv", "labels.jsonl", "labels.parquet"])
def test_labels_of_a_table_count_in_place_of_the_samples_own(three: list[str], tmp_path: Path, name: str) -> None:
    whole = evaluated(Part(three[0]))
    new = {key: (label + 1) % 3 for key, label in whole[::4]}
    told = table(tmp_path / name, [*new.items(), ("elsewhere", 0)])
    assert evaluated(Part(three[0], labels=told)) == [(key, new.get(key, label)) for key, label in whole]
    assert evaluated(Part(three[0], labels=told, missing="drop")) == list(new.items())
    trained = rows(loader(Part(three[0], labels=told), 1, global_batch=10))
    assert dict(trained) == {key: new.get(key, label) for key, label in whole}
    missing = next(key for key, _ in whole if key not in new)
    with pytest.raises(TarnError, match=f"the sample {missing} has no row"):
        evaluated(Part(three[0], labels=told, missing="refuse"))


def test_another_table_is_another_stream(three: list[str], tmp_path: Path) -> None:
    whole = evaluated(Part(three[0]))
    one = loader(Part(three[0], labels=table(tmp_path / "a.csv", whole)))  # type: ignore[arg-type]
    other = loader(Part(three[0], labels=table(tmp_path / "b.csv", whole[1:])))  # type: ignore[arg-type]
    with pytest.raises(TarnError, match="fingerprint"):
        other.load_state_dict(one.state_dict())


def test_tables_that_tell_no_label_are_refused_by_row(three: list[str], tmp_path: Path) -> None:
    key = evaluated(Part(three[0]))[0][0]
    for pairs, told in (
        ([(key, 3)], f"row 2 .{key}. has the label 3"),
        ([(key, "dog")], "the label 'dog'"),
        ([(key, 1), (key, 2)], f"several rows of the key {key}"),
        ([("elsewhere", 1)], "names no sample"),
    ):
        with pytest.raises(UsageError, match=told):
            loader(Part(three[0], labels=table(tmp_path / "bad.csv", pairs)))  # type: ignore[arg-type]
    (tmp_path / "bad.csv").write_text("name,label\na,1\n")
    with pytest.raises(UsageError, match="has no column key, but name, label"):
        loader(Part(three[0], labels=str(tmp_path / "bad.csv")))


def test_a_label_of_a_table_may_be_a_class_by_name(three: list[str], tmp_path: Path) -> None:
    whole = evaluated(Part(three[0]))
    told = table(tmp_path / "named.csv", [(key, f"class{2 - label}") for key, label in whole])
    assert evaluated(Part(three[0], labels=told)) == [(key, 2 - label) for key, label in whole]


def by_number(root: Path) -> str:
    """Twelve classes called 0 to 11, which stand as 0, 1, 10, 11, 2 ..., and a training picture of each."""
    tree = picture_tree(root / "pictures", classes=12, train=1)
    for folder in sorted(tree.glob("*/class*")):
        folder.rename(folder.with_name(folder.name.removeprefix("class")))
    pack(tree, str(root / "shards"), PackConfig())
    return str(root / "shards")


def test_a_number_that_may_be_the_name_of_another_class_is_refused(tmp_path: Path) -> None:
    url = by_number(tmp_path)
    whole = evaluated(Part(url))
    names = [(key, key.partition("/")[0]) for key, _ in whole]
    for told in (table(tmp_path / "a.csv", names), table(tmp_path / "b.jsonl", [(k, int(n)) for k, n in names])):  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"is a class's number and the name of another class.* as texts, in JSON"):
            loader(Part(url, labels=told))
    named = table(tmp_path / "c.jsonl", [(key, name) for key, name in names])
    assert evaluated(Part(url, labels=named)) == whole
    with pytest.raises(UsageError, match="2 is a class's number and the name of another class, of number 4: give the"):
        loader(Part(url, classes=(2,)))
    assert [label for _, label in evaluated(Part(url, classes=("2", 1)))] == [1, 4]


def test_a_part_without_classes_among_others_is_refused_where_labels_are_wanted(
    three: list[str], tmp_path: Path
) -> None:
    bare = str(membered(tmp_path / "bare"))
    told = table(tmp_path / "labels.csv", [("s003", 2), ("s004", 0)])
    for more in ({}, {"label_offset": 3}, {"class_map": "wnid"}):
        with pytest.raises(UsageError, match=r"bare has no classes .*name a table of its labels"):
            loader([three[0], Part(bare, **more)])  # type: ignore[arg-type]
    with pytest.raises(TarnError, match=r"s000 has no row in .*, and no label of its own"):
        loader([three[0], Part(bare, labels=told)])
    with pytest.raises(UsageError, match=r"bare has no classes"):
        open_blend(DataConfig(shards=three[0], blend=(Part(bare),)), read_manifest(three[0]).classes, 0, 16)
    joined = loader([three[0], Part(bare, labels=told, missing="drop")])
    assert {key: label for key, label in rows(joined) if key.startswith("s")} == {"s003": 2, "s004": 0}
    whole = loader([three[0], Part(bare, label_offset=3)], train=False, fields={"picture": "jpg"})
    assert sum(len(batch.keys) for batch in whole) == 54


def test_an_order_config_takes_an_epoch_length_that_is_one() -> None:
    with pytest.raises(UsageError, match="epoch_samples=0"):
        OrderConfig(epoch_samples=0)
    with pytest.raises(UsageError, match=r"lanes=1.5 must be a whole number"):
        OrderConfig(lanes=1.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="lanes=1000000000 must be at most 65,536"):
        OrderConfig(lanes=10**9)


def test_keys_that_were_kept_are_not_read_again(three: list[str], tmp_path: Path) -> None:
    whole = evaluated(Part(three[0]))
    (tmp_path / "keys.txt").write_text("\n".join(key for key, _ in whole[:9]))
    with served(Path(three[0])) as web:
        for count in (30, 0):
            before = len(web.asked)
            ShardLoader(Part(web.url, keys=str(tmp_path / "keys.txt")), global_batch=4, num_workers=0, **FEW).close()
            asked = web.asked[before:]
            assert sum(".tar" in str(request) for request in asked) == count


FEW = {"image_size": 16, "seed": 3}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Indexed without classes: pictures s000 to s011."""
    return str(membered(tmp_path_factory.mktemp("bare"), count=12))


def test_labels_of_a_table_stand_beside_classes_that_are_mapped(three: list[str], tmp_path: Path) -> None:
    """Of a dataset whose classes have other numbers: its own labels are mapped, the table's are the stream's."""
    tree = picture_tree(tmp_path / "pictures", train=4)
    for split in ("train", "val"):
        shutil.rmtree(tree / split / "class0")
    pack(tree, str(tmp_path / "other"), PackConfig())
    other = Part(str(tmp_path / "other"), class_map="wnid")
    whole = [row for row in evaluated([three[0], other]) if "part" not in row[0]]
    assert {key.split("/")[0]: label for key, label in whole} == {"class1": 1, "class2": 2}
    new = {key: 0 for key, _ in whole[::3]}
    told = replace(other, labels=table(tmp_path / "labels.csv", list(new.items())))
    seen = [row for row in evaluated([three[0], told]) if "part" not in row[0]]
    assert seen == [(key, new.get(key, label)) for key, label in whole]


@pytest.mark.parametrize("class_map", ["number", "wnid"])
def test_a_part_without_classes_gets_its_labels_from_a_table(
    three: list[str], bare: str, tmp_path: Path, class_map: str
) -> None:
    pairs = [(f"s{number:03d}", f"class{number % 3}") for number in range(12)]
    part = Part(bare, labels=table(tmp_path / "all.csv", pairs), class_map=class_map)  # type: ignore[arg-type]
    seen = dict(evaluated([three[2], part]))
    assert {key: seen[key] for key, _ in pairs} == {f"s{number:03d}": number % 3 for number in range(12)}
    some = table(tmp_path / "some.csv", pairs[:7])  # type: ignore[arg-type]
    dropped = evaluated([three[2], Part(bare, labels=some, missing="drop")])
    assert [label for key, label in dropped if key in seen and key.startswith("s0")] == [0, 1, 2, 0, 1, 2, 0]
    with pytest.raises(TarnError, match=r"the sample s007 has no row in .*some\.csv, and no label of its own"):
        evaluated([three[2], Part(bare, labels=some)])


def test_a_part_without_classes_gives_no_labels_that_mean_nothing(three: list[str], bare: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{bare} has no classes .*or name a table of its labels by Part"):
        loader([three[0], bare])
    first = table(tmp_path / "all.csv", [(f"s{number:03d}", 0) for number in range(12)])
    with pytest.raises(UsageError, match="the stream has no classes that labels could mean: index its first part"):
        loader([Part(bare, labels=first), three[0]])
    without = loader([bare, bare], fields={"caption": "txt"}, train=False)
    assert sum(len(batch.keys) for batch in without) == 24


def test_what_was_indexed_without_labels_has_none_though_its_classes_are_known(bare: str, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    out = tmp_path / "out"
    index(bare, IndexConfig(out=out, label="none", picture="jpg", classes=tmp_path / "classes.txt", overwrite=True))
    with pytest.raises(UsageError, match="made with --label none"):
        loader(str(out), global_batch=4)
    told = table(tmp_path / "all.csv", [(f"s{number:03d}", ("cat", "dog")[number % 2]) for number in range(12)])
    assert evaluated(Part(str(out), labels=told)) == [(f"s{number:03d}", number % 2) for number in range(12)]
