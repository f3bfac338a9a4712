"""Runs that are asked to leave at awkward moments: in their last step, and while they export."""

import itertools
import os
import signal
import threading
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from support.runs import epoch_line, fit, same
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
        while not list(copy.glob(".logits.tmp-*")):
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
