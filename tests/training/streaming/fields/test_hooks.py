"""Hooks of somebody's own: exact on any workers, parts and ranks, or found out; wrong ones told in one sentence."""

import os
import random
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.checkout import ROOT
from support.loaders import shard_loader
from support.membered import membered
from support.processes import is_running
from tarn.sharding.errors import TarnError, UsageError
from tarn.training.streaming import Array, Augmentation, Batch, Boxes, BoxLabels, Json, Mask, PictureConfig
from tarn.training.streaming.testing import InexactError, check_exact

FIELDS: dict[str, Any] = {
    "masks": Mask("seg.png"),
    "boxes": Boxes("json:objects.bbox", written="xywh"),
    "labels": BoxLabels("json:objects.category", boxes="boxes"),
    "caption": "txt",
}
SETTINGS: dict[str, Any] = {"global_batch": 6, "image_size": 32, "fields": FIELDS}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return membered(tmp_path_factory.mktemp("hooked"), count=18)


def batches(root: Path, **settings: Any) -> Iterator[Batch]:
    loader = shard_loader(str(root), **{**SETTINGS, "num_workers": 0, **settings})
    try:
        yield from loader
    finally:
        loader.close()


@pytest.mark.parametrize("hook", ["mirrored", "from_global_generators"])
def test_a_hook_is_exact_that_draws_from_what_it_is_given(root: Path, hook: str) -> None:
    assert check_exact(root, steps=3, picture_hook=f"support.hooks:{hook}", **SETTINGS) == 18


def test_whole_pictures_are_exact_and_a_hook_may_give_them_another_size(root: Path) -> None:
    pictures = PictureConfig(augment=Augmentation(crop="none"), pad_to=8)
    settings = {**SETTINGS, "fields": {"caption": "txt"}, "image_size": 100, "pictures": pictures}
    assert check_exact(root, steps=2, picture_hook="support.hooks:smaller", **settings) == 12


def test_an_evaluation_is_exact_too(root: Path) -> None:
    """It always begins at its beginning: there is nothing to go on with."""
    assert check_exact(root, steps=2, picture_hook="support.hooks:mirrored", train=False, **SETTINGS) == 12


@pytest.mark.parametrize("hook", ["from_one_of_its_own", "by_counting"])
def test_a_hook_with_randomness_of_its_own_is_found_out_in_one_sentence(root: Path, hook: str) -> None:
    with pytest.raises(InexactError, match=rf"s\d+ \(position \d+\) has other images .*{hook} draws from") as caught:
        check_exact(root, steps=2, picture_hook=f"support.hooks:{hook}", **SETTINGS)
    assert "\n" not in str(caught.value)


def test_a_batch_hook_is_exact_in_equal_batches(root: Path) -> None:
    assert check_exact(root, steps=2, batch_hook="support.torch_hooks:mixed", **SETTINGS) == 12
    mixed = next(iter(batches(root, batch_hook="support.torch_hooks:mixed")))
    assert not torch.equal(mixed.images, next(iter(batches(root))).images)
    assert mixed.caption == next(iter(batches(root))).caption


def test_the_crop_comes_first_and_masks_and_boxes_may_go_with_what_the_hook_does(root: Path) -> None:
    given, plain = batches(root, picture_hook="support.hooks:mirrored"), batches(root)
    turned = 0
    for batch, other in zip(given, plain, strict=True):
        for row in range(6):
            if torch.equal(batch.images[row], other.images[row]):
                assert torch.equal(batch.boxes[row], other.boxes[row])
                continue
            turned += 1
            assert torch.equal(batch.images[row], other.images[row].flip(1))
            assert torch.equal(batch.masks[row], other.masks[row].flip(1))
            assert torch.allclose(batch.boxes[row][:, 0], 32 - other.boxes[row][:, 2])
    assert 0 < turned < 18


def test_a_hook_in_this_process_leaves_its_global_generators_as_they_were(root: Path) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    next(batches(root, picture_hook="support.hooks:from_global_generators"))
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]


WRONG = {
    "as_floats": r"s\d+: picture_hook support.hooks:as_floats returned 32 x 32 x 3 of float64, expected uint8 pixels",
    "nothing": r"returned nothing, expected uint8 pixels of height x width x 3",
    "smaller": r"returned 16 x 32 px, expected 32 x 32, as it was given",
    "failing": r"s\d+: picture_hook support.hooks:failing raised ValueError \(no such luck\) in line \d+ of .*hooks",
    "without_labels": r"changed the names of the fields \(labels\): expected masks, boxes, labels, caption",
    "flat_masks": r"flat_masks: masks is 1024 of uint8, expected 32 x 32 whole numbers \(uint8\)",
    "missing": r"support.hooks has no function missing",
    "with_a_generator": r"with_a_generator: caption is a generator, expected a text",
    "wordless": r"support.hooks:wordless raised WordlessError in line",
}


@pytest.mark.parametrize(("hook", "workers"), [*((hook, 0) for hook in WRONG), ("failing", 1)])
def test_a_wrong_hook_is_one_sentence(root: Path, hook: str, workers: int) -> None:
    with pytest.raises(TarnError, match=WRONG[hook]) as caught:
        next(batches(root, picture_hook=f"support.hooks:{hook}", num_workers=workers))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("nowhere:augment", "there is no module nowhere on sys.path"),
        ("nowhere.deep:augment", "there is no module nowhere.deep on sys.path"),
        ("__main__:augment", "of a module that is a file"),
        ("augment", "is no import path"),
        (lambda picture: picture, "must be an import path, such as picture_hook="),
    ],
)
def test_a_hook_that_cannot_be_found_is_told_before_anything_starts(root: Path, told: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        next(batches(root, picture_hook=told))


def test_a_batch_hook_must_give_a_batch(root: Path) -> None:
    with pytest.raises(TarnError, match=r"batch_hook support\.torch_hooks:no_batch returned a Tensor, expected"):
        next(batches(root, batch_hook="support.torch_hooks:no_batch"))


def test_a_module_that_cannot_be_imported_is_named(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_a_hook.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TarnError, match=r"importing half_a_hook raised ModuleNotFoundError \(No module named 'no_such"):
        next(batches(root, picture_hook="half_a_hook:augment", num_workers=1))
    sys.modules.pop("half_a_hook", None)


def test_a_package_that_cannot_be_imported_is_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_package").mkdir()
    (tmp_path / "broken_package" / "__init__.py").write_text("raise RuntimeError('no luck')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"importing the package of broken_package.hooks raised RuntimeError .no luck"):
        next(batches(root, picture_hook="broken_package.hooks:augment"))


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_hook_keeps_for_itself_may_change_behind_it(root: Path, workers: int) -> None:
    settings = {"picture_hook": "support.hooks:from_kept_memory", "num_workers": workers}
    (batch, *_) = batches(root, **settings, fields={"array": Array("npy"), "list": Json("json:tags")})
    told = [each.tolist() for each in batch.array]
    assert told == [[one] * 3 for (one,) in batch.list]
    assert len({one for one, *_ in told}) == 6


@pytest.mark.parametrize("workers", [0, 1])
def test_an_array_that_runs_backwards_is_a_tensor(root: Path, workers: int) -> None:
    fields = {"array": Array("two.npy", optional=True), "caption": "txt"}
    (batch, *_) = batches(root, picture_hook="support.hooks:backwards", fields=fields, num_workers=workers)
    assert [each.shape for each in batch.array] == [(0,)] * 6
    (batch, *_) = batches(root, picture_hook="support.hooks:backwards", fields={"array": "npy"}, num_workers=workers)
    assert all(each.shape == (3,) for each in batch.array)


def test_a_process_that_dies_is_noticed_though_a_fork_of_it_lives_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fork holds the connection, which would tell of the death."""
    monkeypatch.setenv("FORK_FILE", str(tmp_path / "fork"))
    loader = shard_loader(str(root), **SETTINGS, num_workers=1, picture_hook="support.hooks:forking")
    steps = iter(loader)
    next(steps)
    fork = int((tmp_path / "fork").read_text())
    try:
        loader.crew.workers[0].process.kill()
        with pytest.raises(TarnError, match="decoding process 0 was ended by SIGKILL"):
            deque(chain(steps, loader, loader), maxlen=0)
        assert is_running(fork)
    finally:
        os.kill(fork, signal.SIGKILL)
        loader.close()


def test_check_exact_compares_evaluations_too(root: Path) -> None:
    assert check_exact(root, steps=2, train=False, picture_hook="support.hooks:mirrored", **SETTINGS) == 12


def test_check_exact_compares_all_of_an_array_whatever_the_pictures_size(root: Path) -> None:
    array = Array("none.npy", shape=(200, 2), optional=True)
    pictures = PictureConfig(augment=Augmentation(crop="none"), pad_to=8)
    settings = {"fields": {"array": array}, "image_size": 100, "pictures": pictures, "global_batch": 6}
    with pytest.raises(InexactError, match=r"has other array .*with_a_last_row_of_its_own draws from"):
        check_exact(root, steps=2, picture_hook="support.hooks:with_a_last_row_of_its_own", **settings)


def test_check_exact_tells_of_batches_of_other_rows(root: Path) -> None:
    with pytest.raises(InexactError, match="step 0: images has 3 rows of 6 samples: a batch_hook"):
        check_exact(root, steps=2, batch_hook="support.torch_hooks:halved", **SETTINGS)


def test_check_exact_chooses_workers_and_ranks_itself(root: Path) -> None:
    with pytest.raises(UsageError, match="check_exact chooses num_workers itself"):
        check_exact(root, num_workers=2)


def test_a_hook_in_the_program_itself_is_refused_before_processes_run_it_again(root: Path, tmp_path: Path) -> None:
    """As people write it: all in one file, without a look at __name__."""
    program = tmp_path / "train.py"
    program.write_text(
        "from tarn.training.streaming import ShardLoader\n\n"
        "def augment(pixels, fields, generator):\n    return pixels\n\n"
        f"ShardLoader({str(root)!r}, global_batch=6, fields={{'caption': 'txt'}}, picture_hook='train:augment')\n"
    )
    done = subprocess.run(
        [sys.executable, program], env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "picture_hook='train:augment' lies in the program that is running" in done.stderr
    assert done.stderr.count("Traceback") == 1
