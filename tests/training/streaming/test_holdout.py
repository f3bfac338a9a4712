"""A validation split that is drawn from the training split: which pictures, by whom, and for how long."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from support.web import served
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import RECORD, Manifest, read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.training.__main__ import main
from tarn.training.streaming.access import AccessConfig
from tarn.training.streaming.bad_samples import BadSamplesConfig
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.holdout import hold_out, told_by
from tarn.training.streaming.plan import StreamPlan, eval_plan, train_plan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.streaming.sources import LocalSource
from tarn.training.streaming.subset import Holdout, Subset, divided, is_held_out
from tarn.training.world.ranks import Ranks

FIFTH = Holdout(0.2)
WORDS = [
    "--model.arch=resnet18", "--model.small_stem=true", "--data.image_size=32", "--data.eval_resize=36",
    "--data.lanes=4", "--data.active_shards=4", "--data.workers=0", "--optim.global_batch=30", "--optim.lr=0.02",
    "--optim.warmup_epochs=0", "--journal.tensorboard=false", "--device=cpu", "--amp=off", "--data.val_fraction=0.2",
]  # fmt: skip


@pytest.fixture(scope="module")
def alone(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that has nothing but a training split. To be read only."""
    out = tmp_path_factory.mktemp("alone") / "shards"
    pack(pictures, str(out), PackConfig(shard_size=1_000_000, split="train"))
    return out


def parts(root: Path | str, told: Holdout = FIFTH) -> tuple[Manifest, Subset, Subset]:
    manifest = read_manifest(str(root))
    access = AccessConfig(cache="none").resolve(str(root))
    return manifest, *hold_out(str(root), manifest, told, access)


def loader(
    root: Path, subset: Subset, train: bool = False, rank: int = 0, ranks: int = 1, **more: object
) -> PlannedLoader:
    manifest, at = read_manifest(str(root)), Ranks(rank, ranks, rank, ranks)
    data = DataConfig(shards=str(root), image_size=32, eval_resize=36, lanes=4, active_shards=4, **more)  # type: ignore[arg-type]
    plan: StreamPlan
    if train:
        plan = train_plan(data, manifest, at, 3, 8, None, True, subset)
    else:
        plan = eval_plan(str(root), manifest, "train", data.preprocessing, at, 7, data.access(str(root)), subset)
        plan = StreamPlan(**{**{name: getattr(plan, name) for name in plan.__dataclass_fields__}, "keys": True})
    return PlannedLoader(plan, manifest, "train", start_crew(0))


def keys(one: PlannedLoader) -> list[str]:
    return [key for batch in one.batches(0) for key in batch.keys]


def over_ranks(root: Path, subset: Subset, train: bool, ranks: int) -> list[str]:
    return [key for rank in range(ranks) for key in keys(loader(root, subset, train, rank, ranks))]


def test_both_parts_together_are_the_split_and_no_picture_is_in_both(alone: Path) -> None:
    _, left, held = parts(alone)
    whole = Subset(tuple(b"\xff" * len(bits) for bits in left.bits), left.samples)
    one, other, both = (keys(loader(alone, subset)) for subset in (left, held, whole))
    assert len(one) == left.sizes.sum()
    assert len(other) == held.sizes.sum()
    assert sorted(one + other) == sorted(both)
    assert len(set(both)) == 120
    assert 10 < len(other) < 40


def test_training_shows_what_is_left_and_validation_what_is_held_out_on_any_number_of_ranks(alone: Path) -> None:
    _, left, held = parts(alone)
    trained = keys(loader(alone, left, train=True))
    assert len(trained) == len(set(trained)) == int(left.sizes.sum()) // 8 * 8
    assert set(trained) <= set(keys(loader(alone, left)))
    for ranks in (2, 3):
        assert sorted(over_ranks(alone, left, True, ranks)) == sorted(trained)
        assert sorted(over_ranks(alone, held, False, ranks)) == sorted(keys(loader(alone, held)))


def test_other_shards_in_another_order_hold_out_the_same_pictures(alone: Path, pictures: Path, tmp_path: Path) -> None:
    pack(pictures, str(tmp_path), PackConfig(shard_size=3_000_000, split="train", seed=99))
    assert len(parts(tmp_path)[0].split("train").shards) != len(parts(alone)[0].split("train").shards)
    assert sorted(keys(loader(tmp_path, parts(tmp_path)[2]))) == sorted(keys(loader(alone, parts(alone)[2])))


def test_a_larger_fraction_holds_out_what_a_smaller_one_does(alone: Path) -> None:
    small, large = (set(keys(loader(alone, parts(alone, Holdout(fraction))[2]))) for fraction in (0.1, 0.3))
    assert small < large


def test_a_fraction_is_what_it_says() -> None:
    rng = np.random.default_rng(0)
    records = np.zeros(200_000, RECORD)
    records["crc32"], records["size"] = rng.integers(0, 2**32, 200_000), rng.integers(5_000, 500_000, 200_000)
    for fraction in (0.01, 0.1, 0.5):
        assert abs(is_held_out(records, fraction).mean() - fraction) < 0.003
    left, held = divided(iter([records[:1001], records[1001:1001], records[1001:2000]]), 0.1)
    assert (left.sizes + held.sizes).tolist() == [1001, 0, 999]


def test_the_same_pictures_are_held_out_of_a_store(alone: Path) -> None:
    _, left, held = parts(alone)
    with served(alone) as web:
        assert parts(web.url)[1:] == (left, held)
        assert not [path for path, _ in web.asked if path.endswith(".tar")]


def test_a_bad_picture_is_replaced_by_one_of_the_same_part(alone: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(alone, tmp_path / "shards"))
    manifest, left, _ = parts(root)
    source = LocalSource(str(root), str(root), manifest.split("train").shards)
    sound = set()
    for shard, size in enumerate(left.sizes.tolist()):
        places = left.places(np.full(size, shard), np.arange(size)).tolist()
        sound |= {source.sample(shard, place).key for place in places[: size // 2]}
        for place in places[size // 2 :]:
            offset, length, _, _ = source.index(shard)[place].item()
            with (root / source.name(shard)).open("r+b") as file:
                file.seek(offset)
                file.write(bytes(length))
    one = loader(root, left, True, bad_samples=BadSamplesConfig(policy="replace", budget=1000))
    shown = keys(one)
    assert set(shown) <= sound
    assert len(shown) == one.plan.samples


def test_states_of_the_parts_and_of_the_whole_split_are_told_apart(alone: Path) -> None:
    manifest, left, held = parts(alone)
    states = [loader(alone, left, train=True).state, loader(alone, parts(alone, Holdout(0.3))[1], train=True).state]
    assert len({state.fingerprint for state in states} | {held.fingerprint(manifest.fingerprint("train"))}) == 3
    with pytest.raises(TarnError, match="fingerprint="):
        states[0].restored(states[1].to_dict())


def test_a_run_validates_on_what_is_held_out_and_evaluate_scores_the_same_pictures(
    alone: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", f"--data.shards={alone}", f"--out={tmp_path}", *WORDS]
    assert main([*words, "--optim.epochs=1"]) == 0
    assert main([*words, "--optim.epochs=2"]) == 0  # goes on
    log, told = (tmp_path / "train.log").read_text(), json.loads((tmp_path / "evaluation.json").read_text())
    _, left, held = parts(alone)
    assert f"of {left.sizes.sum()} training pictures" in log
    assert f"{held.sizes.sum()} for validation" in log
    assert "Going on after step" in log
    assert told["samples"] == held.sizes.sum()
    assert told["split"] == "0.2 of train"
    capsys.readouterr()
    evaluate = ["evaluate", f"--model={tmp_path}/model.pt", "--device=cpu", f"--out={tmp_path}/e"]
    assert main([*evaluate, f"--shards={alone}"]) == 0
    said = capsys.readouterr()
    again = json.loads(said.out)
    assert said.err == ""
    for name in ("samples", "top1_count", "top5_count", "split", "fingerprint"):
        assert again[name] == told[name]
    other = tmp_path / "other"  # other bytes of the same pictures: others are held out
    pack(pictures, str(other), PackConfig(split="train", preparation=Preparation(tile=0)))
    assert main([*evaluate, f"--shards={other}"]) == 0
    assert "model.pt was not trained on these shards" in capsys.readouterr().err
    more = ["--device=cpu", "--workers=0", "--val-fraction=0.4", f"--out={tmp_path}/f"]
    assert main(["evaluate", f"--model={tmp_path}/model.pt", f"--shards={alone}", *more]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == parts(alone, Holdout(0.4))[2].sizes.sum()
    assert main(["plan", f"--data.shards={alone}", *WORDS]) == 0
    assert f"{held.sizes.sum()} are held out for validation" in capsys.readouterr().out


def test_labels_tell_which_classes_a_part_has() -> None:
    records = np.zeros(6, RECORD)
    records["crc32"], records["label"] = range(6), [0, 1, 2, 2, 3, 4]
    out = is_held_out(records, 0.5)
    assert 0 < out.sum() < 6
    left, held = divided(iter([records[:2], records[2:]]), 0.5)
    assert (left.labels, held.labels) == (set(records["label"][~out]), set(records["label"][out]))


def test_a_run_tells_of_classes_that_have_no_picture_held_out(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, _, held = parts(alone, Holdout(0.05))
    missing = [info.name for label, info in enumerate(manifest.classes) if label not in held.labels]
    assert 0 < len(missing) < len(manifest.classes)
    words = ["fit", f"--data.shards={alone}", f"--out={tmp_path}", *WORDS, "--data.val_fraction=0.05"]
    assert main([*words, "--optim.epochs=1", "--optim.max_steps=1"]) == 0
    said = capsys.readouterr().out
    assert f"no picture is held out of {len(missing)} of {len(manifest.classes)} classes ({missing[0]}" in said
    assert "draws by picture, not by class" in said


def test_a_dataset_that_has_a_validation_split_is_not_divided(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["fit", f"--out={tmp_path}"], ["plan"]):
        assert main([*command, f"--data.shards={shards}", *WORDS]) == 2
        assert "data.val_fraction=0.2 holds out a part of 'train', and" in capsys.readouterr().err


def test_a_fraction_that_is_none_or_leaves_nothing_is_refused(alone: Path) -> None:
    for fraction in (0.0, 1.0, -0.1):
        with pytest.raises(UsageError, match=r"data\.val_fraction=.* must be between 0 and 1"):
            DataConfig(val_fraction=fraction)
    with pytest.raises(UsageError, match=r"holds out 0 of the 120 pictures of 'train'"):
        parts(alone, Holdout(1e-9))
    assert told_by({"config": "data: {val_fraction: null}"}) is None
    assert told_by({}) is None
