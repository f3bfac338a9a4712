"""ShardLoader as anybody uses it in his own trainer."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.loaders import shard_loader
from support.processes import end_within
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.training.streaming import Batch, PictureConfig, ShardLoader
from tarn.training.streaming.bad_samples import Ledger
from tarn.training.streaming.sources import LocalSource

SMALL = {"global_batch": 16, "image_size": 16, "lanes": 4, "active_shards": 4, "keys": True}


def loader(shards: Path, **more: object) -> ShardLoader:
    return shard_loader(str(shards), **{**SMALL, "num_workers": 0, **more})


def seen(batches: object) -> list[tuple[tuple[str, ...], bytes, list[int]]]:
    return [(b.keys, b.images.numpy().tobytes(), b.labels.tolist()) for b in batches]  # type: ignore[attr-defined]


def test_a_batch_has_images_labels_and_keys_that_belong_together(shards: Path) -> None:
    classes = read_manifest(str(shards)).classes
    for batch in loader(shards, num_workers=1):
        assert isinstance(batch, Batch)
        assert batch.images.dtype == torch.uint8
        assert batch.images.shape == (16, 16, 16, 3)
        assert batch.labels.dtype == torch.int64
        assert [key.split("_")[0] for key in batch.keys] == [classes[label].wnid for label in batch.labels.tolist()]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_that_nobody_has_any_more_keeps_no_file_open(shards: Path, workers: int) -> None:
    def left(place: Path) -> list[str]:
        links = (each for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
        return [str(link) for link in map(os.path.realpath, links) if str(link).startswith(str(place))]

    copy = shutil.copytree(shards, shards.parent / f"copy-{workers}")
    one = loader(copy, num_workers=workers)
    next(iter(one))
    assert left(copy) or workers
    one.close()
    del one
    gc.collect()
    assert not left(copy)


def test_iterating_again_gives_the_next_epoch_in_another_order(shards: Path) -> None:
    one = loader(shards)
    assert one.epoch == 0
    first, second = seen(one), seen(one)
    assert one.epoch == 2
    assert first != second
    assert len(first) == len(one) == 7
    one.set_epoch(0)
    assert seen(one) == first


def test_resume_mid_epoch_gives_the_same_batches_with_other_workers(shards: Path) -> None:
    whole = seen(loader(shards)) + seen(loader_at(shards, 1))
    for stop in (1, 6, 7, 9):
        one, given = loader(shards, num_workers=1), []
        while len(given) < stop:
            for batch in one:
                given += seen([batch])
                if len(given) == stop:
                    state = json.loads(json.dumps(one.state_dict()))
                    break
        other = loader(shards, num_workers=2)
        other.load_state_dict(state)
        rest = []
        for epoch in range(other.epoch, 2):
            other.set_epoch(epoch)
            rest += seen(other)
        assert given + rest == whole
        one.close()
        other.close()


def loader_at(shards: Path, epoch: int) -> ShardLoader:
    one = loader(shards)
    one.set_epoch(epoch)
    return one


def test_a_state_of_another_seed_batch_order_or_dataset_is_refused_by_name(shards: Path) -> None:
    state = loader(shards).state_dict()
    for name, value in (("seed", 1), ("global_batch", 8), ("lanes", 2), ("active_shards", 8)):
        with pytest.raises(TarnError, match=rf"{name}="):
            loader(shards, **{name: value}).load_state_dict(state)
    with pytest.raises(TarnError, match=r"fingerprint=.*: give the dataset and split that it was trained on"):
        loader(shards, split="val").load_state_dict(state)


DAMAGED: list[tuple[Any, str]] = [
    ({"samples": -16}, "samples=-16, expected a whole number of at least 0"),
    ({"samples": "x"}, "samples='x'"),
    ({"epoch": -1}, "epoch=-1"),
    ({"epoch": 1.5}, "epoch=1.5"),
    ({"epoch": None}, "epoch=None"),
    ({"epoch": 2**70}, f"epoch={2**70}"),
    ({"parts": {}}, "parts={}, which are none"),
    ({"parts": 5}, "parts=5, which are none"),
]


@pytest.mark.parametrize(("damage", "told"), DAMAGED)
def test_a_damaged_state_is_refused_by_name(shards: Path, damage: dict[str, object], told: str) -> None:
    one = loader(shards)
    with pytest.raises(TarnError, match=told):
        one.load_state_dict({**one.state_dict(), **damage})


@pytest.mark.parametrize("told", [None, "state", []])
def test_what_is_no_state_is_refused(shards: Path, told: Any) -> None:
    with pytest.raises(UsageError, match="is no state of a stream: give load_state_dict"):
        loader(shards).load_state_dict(told)


@pytest.mark.parametrize("ranks", [2, 3, 7])
def test_all_ranks_get_equally_many_batches_and_together_the_global_ones(shards: Path, ranks: int) -> None:
    alone = [sorted(batch.keys) for batch in loader(shards)]
    shares = [[batch.keys for batch in loader(shards, rank=rank, world_size=ranks)] for rank in range(ranks)]
    assert [len(share) for share in shares] == [7] * ranks
    assert [sorted(sum(parts, ())) for parts in zip(*shares, strict=True)] == alone


def test_evaluation_leaves_nothing_out_and_gives_every_rank_as_many_batches(shards: Path) -> None:
    """40 pictures in batches of 13 leave one over: on three ranks, two of them get an empty batch."""
    for ranks in (1, 3):
        ones = [
            loader(shards, split="val", train=False, global_batch=13, rank=r, world_size=ranks) for r in range(ranks)
        ]
        keys = [[batch.keys for batch in one] for one in ones]
        assert [len(each) for each in keys] == [4] * ranks == [len(one) for one in ones]
        told = [key for each in keys for batch in each for key in batch]
        assert len(told) == len(set(told)) == 40


def test_training_may_keep_its_last_smaller_batch(shards: Path) -> None:
    sizes = [len(batch.labels) for batch in loader(shards, drop_last=False)]
    assert sizes == [16] * 7 + [8]


def test_a_state_behind_the_last_smaller_batch_is_the_next_epochs_beginning(shards: Path) -> None:
    one = loader(shards, drop_last=False)
    states = [one.state_dict() for _ in one]
    places = [(state["epoch"], state["samples"]) for state in states]
    assert places == [*((0, samples) for samples in range(16, 128, 16)), (1, 0)]
    before = {**states[-1], "epoch": 0, "samples": 120}  # what earlier versions wrote there
    for state in (states[-1], before):
        other = loader(shards, drop_last=False)
        other.load_state_dict(state)
        assert other.epoch == 1
        epoch = loader(shards, drop_last=False)
        epoch.set_epoch(1)
        assert seen(other) == seen(epoch)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_smaller_last_batch_may_give_a_rank_more_than_a_whole_one(shards: Path, workers: int) -> None:
    """Of 11 samples rank 2 of 7 serves one, of the last 10 it serves two."""
    ranks = [loader(shards, drop_last=False, global_batch=11, rank=rank, world_size=7) for rank in range(7)]
    told = [key for one in ranks if one.plan.ranks.rank != 2 for batch in one for key in batch.keys]
    second = loader(shards, drop_last=False, global_batch=11, rank=2, world_size=7, num_workers=workers)
    own = [batch.keys for batch in second]
    assert (len(own[0]), len(own[-1])) == (1, 2)
    assert len({*told, *(key for keys in own for key in keys)}) == 120
    second.close()


def test_batches_that_are_kept_are_not_written_over(shards: Path) -> None:
    one = loader(shards, num_workers=2)
    kept = list(one)
    copies = seen(kept)
    for _ in one:
        pass
    assert seen(kept) == copies
    one.close()


def test_the_next_epoch_is_begun_while_this_one_ends_and_nothing_is_made_twice(shards: Path) -> None:
    one, alone = loader(shards, num_workers=2), loader(shards)
    assert one.pool is not None
    for epoch in range(3):
        assert seen(one) == seen(alone)
        assert one.state_dict() == alone.state_dict()
        begun = [place for place, _ in one.pool.early]
        assert begun == [(epoch + 1, step, 0) for step in range(one.pool.ahead)]
        assert one.pool.tickets == (epoch + 1) * len(one) + len(begun)
    one.close()


def test_what_was_begun_early_is_dropped_where_something_else_is_asked_for(shards: Path) -> None:
    one = loader(shards, num_workers=2)
    assert one.pool is not None
    for epoch in (0, 7, 2, 3, 3):
        one.set_epoch(epoch)
        if epoch == one.epoch:
            one.load_state_dict(loader_at(shards, epoch).state_dict())
        assert seen(one) == seen(loader_at(shards, epoch))
    assert len(one.pool.slots.maps) <= 3 * one.pool.ahead
    one.close()


def test_evaluation_begins_nothing_early(shards: Path) -> None:
    one = loader(shards, split="val", train=False, num_workers=1)
    list(one)
    assert one.pool is not None
    assert not one.pool.early
    assert one.pool.tickets == len(one)
    one.close()


def test_a_killed_worker_is_told_at_once(shards: Path) -> None:
    one = loader(shards, num_workers=2)
    batches = iter(one)
    next(batches)
    assert one.pool is not None
    one.pool.children[0].process.kill()
    started = time.monotonic()
    with pytest.raises(TarnError, match=r"decoding process \d was ended by SIGKILL \(out of memory\?\)"):
        list(batches)
    assert time.monotonic() - started < 30
    one.close()


def test_two_iterations_at_a_time_are_refused(shards: Path) -> None:
    one = loader(shards, num_workers=1)
    first = iter(one)
    next(first)
    next(iter(one))
    with pytest.raises(TarnError, match="iterated twice"):
        next(first)
    one.close()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"num_workers": -1}, "num_workers=-1"),
        ({"rank": 2, "world_size": 2}, "rank=2"),
        ({"rank": 1}, "world_size=None"),
        ({"global_batch": 121}, "global_batch=121"),
        ({"policy": "skip"}, "'skip'"),
        ({"client": "curl"}, "'curl'"),
        ({"lanes": 0}, "lanes=0"),
        ({"seed": None}, "seed=None must be a whole number"),
        ({"seed": 10**20}, "seed=10{20} "),
        ({"image_size": (16, 16, 3)}, r"image_size=\(16, 16, 3\) must be a side in px, or two, height and width"),
        ({"image_size": (16, "16")}, r"image_size='16' must be a whole number of at least 1, px of a square"),
        ({"image_size": 0}, "image_size=0"),
        ({"global_batch": 0}, "global_batch=0"),
        ({"micro_batch": -1}, "micro_batch=-1"),
        ({"micro_batch": 2.5}, r"micro_batch=2\.5"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(shards: Path, settings: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        loader(shards, **settings)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"bad_samples": "replace"}, r"bad_samples='replace' .* bad_samples=BadSamplesConfig\(\.\.\.\)"),
        ({"order": None}, "order=None"),
        ({"pictures": {"fidelity": "exact"}}, "PictureConfig"),
        ({"access": "none"}, "AccessConfig"),
        ({"delivery": True}, "DeliveryConfig"),
    ],
)
def test_what_is_given_in_place_of_a_part_of_the_settings_is_refused(
    shards: Path, settings: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        ShardLoader(str(shards), num_workers=0, **settings)  # type: ignore[arg-type]


def test_no_augmentation_is_not_taken_for_evaluation() -> None:
    with pytest.raises(UsageError, match=r"augment=None must be an instance of Augmentation"):
        PictureConfig(augment=None)  # type: ignore[arg-type]


def test_a_path_is_taken_as_it_is_and_a_tilde_is_the_home_folder(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"global_batch": 16, "image_size": 16, "num_workers": 0}
    expected = seen(ShardLoader(str(shards), **settings))
    assert seen(ShardLoader(shards, **settings)) == expected
    monkeypatch.setenv("HOME", str(shards.parent))
    assert seen(ShardLoader(f"~/{shards.name}", **settings)) == expected


USER = """
import sys
from tarn.training.streaming import ShardLoader
loader = ShardLoader(sys.argv[1], global_batch=16, image_size=16, num_workers=2)
while True:
    for batch in loader:
        print(*[child.process.pid for child in loader.pool.children], flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_a_script_that_is_ended(shards: Path, number: signal.Signals) -> None:
    """The script has no main guard, and its workers get the signals of a terminal too."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(shards)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    workers = [int(word) for word in process.stdout.readline().split()]
    assert len(workers) == 2
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as Ctrl-C does
    else:
        process.send_signal(number)
    process.wait(30)
    process.stdout.close()
    assert end_within(10, workers)


def test_workers_need_no_torch() -> None:
    tasks = "tarn.training.streaming.workers.worker, tarn.training.streaming.remote.fetcher"
    code = f"import sys, {tasks}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def broken(shards: Path, tmp_path: Path) -> tuple[Path, str]:
    """A dataset in which the picture of one key is zeros."""
    for path in shards.rglob("*.*"):
        (tmp_path / path.relative_to(shards)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.relative_to(shards)).write_bytes(path.read_bytes())
    info = read_manifest(str(tmp_path)).split("train").shards
    source = LocalSource(str(tmp_path), str(tmp_path), info)
    offset, size, _, _ = source.index(1)[3].item()
    key = source.sample(1, 3).key
    raw = bytearray((tmp_path / info[1].name).read_bytes())
    raw[offset : offset + size] = bytes(size)
    (tmp_path / info[1].name).write_bytes(raw)
    return tmp_path, key


def test_a_replaced_sample_is_the_same_on_any_ranks_and_workers_and_is_entered_once(
    broken: tuple[Path, str], tmp_path: Path
) -> None:
    root, key = broken
    ledger = tmp_path / "ledger" / "rank-0.jsonl"
    alone = loader(root, policy="replace", bad_sample_ledger=ledger)
    epochs = [seen(alone), seen(alone)]
    assert key not in {each for batches in epochs for keys, _, _ in batches for each in keys}
    assert [json.loads(line) for line in ledger.read_text().splitlines()] == [
        {"shard": "train/train-000001.tar", "key": key, "error": ANY_ERROR(ledger)}
    ]
    assert seen(loader(root, policy="replace", num_workers=2)) == epochs[0]
    shares = [seen(loader(root, policy="replace", rank=rank, world_size=2)) for rank in range(2)]
    for step, (_, _, labels) in enumerate(epochs[0]):
        assert sorted(labels) == sorted(shares[0][step][2] + shares[1][step][2])


def ANY_ERROR(ledger: Path) -> str:  # noqa: N802
    error = str(json.loads(ledger.read_text().splitlines()[0])["error"])
    assert "not a readable picture" in error
    return error


def test_a_spent_budget_stops_the_run_and_a_restart_remembers_it(broken: tuple[Path, str], tmp_path: Path) -> None:
    root, key = broken
    ledger = tmp_path / "ledger.jsonl"
    for _ in range(2):
        with pytest.raises(TarnError, match=rf"1 samples are bad.*{key}.*budget=0"):
            seen(loader(root, policy="replace", budget=0, bad_sample_ledger=ledger))
    ledger.write_text(ledger.read_text() + '{"shard": "half a li')
    assert Ledger(ledger, 5).seen == {("train/train-000001.tar", key)}


def test_images_are_the_pixels_that_a_plain_decode_gives(shards: Path) -> None:
    one = loader(shards, split="val", train=False, eval_resize=16)
    batch = next(iter(one))
    again = next(iter(loader(shards, split="val", train=False, eval_resize=16, num_workers=1)))
    assert np.array_equal(batch.images.numpy(), again.images.numpy())
    assert batch.images.float().std() > 10
