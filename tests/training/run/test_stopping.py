"""Runs that are asked to leave at awkward moments: in their last step, and while they export."""

import itertools
import os
import signal
import threading
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from support.runs import epoch_line, fit, same
from tarn.sharding.errors import TarnError
from tarn.training.run import checkpoint

LAST = 3  # steps of such a run


def test_a_run_asked_to_leave_in_its_last_step_validates_when_it_goes_on(
    shards: Path, whole: Path, tmp_path: Path
) -> None:
    steps = itertools.count(1)

    def ask(*words: object) -> None:
        if next(steps) == LAST:
            os.kill(os.getpid(), signal.SIGTERM)

    asking = register_optimizer_step_post_hook(ask)
    try:
        fit(shards, tmp_path, expected=128 + signal.SIGTERM)
    finally:
        asking.remove()
    (marker,) = checkpoint.markers(tmp_path / "checkpoints")
    assert (marker["step"], marker["top1"]) == (LAST, None)
    fit(shards, tmp_path)
    assert epoch_line(tmp_path) == epoch_line(whole)
    (marker,) = checkpoint.markers(tmp_path / "checkpoints")
    assert marker["top1"] == epoch_line(whole)["val_top1"]
    read = torch.load(tmp_path / "model.pt", weights_only=True)["provenance"]
    assert read["val_top1"] == marker["top1"]
    assert same(whole / "model.pt", tmp_path / "model.pt")


def test_a_run_asked_to_leave_while_it_exports_leaves_and_exports_when_it_goes_on(
    shards: Path, whole: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "exported.json").unlink()
    before = (copy / "model.pt").read_bytes()

    ended = threading.Event()

    def ask() -> None:
        while not list(copy.glob(".export.tmp-*")):
            if ended.wait(0.001):
                return
        os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        fit(shards, copy, expected=128 + signal.SIGTERM)
    finally:
        ended.set()
        asking.join()
    said = capsys.readouterr()
    assert "Asked to stop: saved after step 3." in said.out
    assert said.err == ""
    assert not list(copy.glob(".*.tmp-*"))
    assert (copy / "model.pt").read_bytes() == before
    fit(shards, copy)
    assert "Exported, loaded back and compared" in capsys.readouterr().out
    assert same(whole / "model.pt", copy / "model.pt")


def test_an_epoch_is_kept_before_its_validation_begins(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*words: object, **more: object) -> None:
        raise TarnError("a validation that does not come to its end")

    monkeypatch.setattr("tarn.training.run.trainer.evaluate", broken)
    fit(shards, tmp_path, expected=1)
    (marker,) = checkpoint.markers(tmp_path / "checkpoints")
    assert (marker["step"], marker.get("figures")) == (LAST, None)


class Interrupting(BufferedWriter):
    """A file at whose third writing Ctrl-C is pressed twice."""

    writings = 0

    def write(self, data: Any) -> int:
        self.writings += 1
        if self.writings == 3:
            press_twice()
        return super().write(data)


def press_twice(*words: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("place", "kept"), [("a step", [1]), ("the second checkpoint", [1]), ("the export", [2, 3])])
def test_a_second_interrupt_leaves_at_once_with_a_sound_run_folder_and_without_a_traceback(
    shards: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
    kept: list[int],
) -> None:
    save, saves, steps = torch.save, itertools.count(1), itertools.count(1)

    def asked_while_saving(thing: object, file: BufferedWriter) -> None:
        wanted = next(saves) == {"a step": 0, "the second checkpoint": 2, "the export": LAST + 1}[place]
        save(thing, Interrupting(FileIO(file.fileno(), "wb", closefd=False)) if wanted else file)

    def asked_in_a_step(*words: object) -> None:
        if place == "a step" and next(steps) == 2:
            press_twice()

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", asked_while_saving)
        asking = register_optimizer_step_pre_hook(asked_in_a_step)
        try:
            fit(shards, tmp_path, "--checkpoint.every_steps=1", "--checkpoint.keep_last=2", expected=130)
        finally:
            asking.remove()
    said = capsys.readouterr()
    assert "Asked to stop" not in said.out
    assert said.err == ""
    assert [marker["step"] for marker in checkpoint.markers(tmp_path / "checkpoints")] == kept
    assert not list(tmp_path.rglob("*.tmp*"))
    fit(shards, tmp_path)
    assert same(whole / "model.pt", tmp_path / "model.pt")
