"""Trainers of boxes, masks, several labels and captions: killed, resumed, and equal to those that were let alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

from support.checkout import ROOT
from support.examples import train
from support.membered import membered

STEPS = 10  # of 4 in an epoch


def test_four_kinds_of_training_go_on_exactly_where_they_were_killed(tmp_path: Path) -> None:
    root = membered(tmp_path / "data")
    for name in ("alone", "killed"):
        (tmp_path / name).mkdir()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = train(str(root), tmp_path / "alone", STEPS)
    finally:
        torch.set_num_threads(threads)
    command = [sys.executable, "-m", "support.examples", str(root), str(tmp_path / "killed"), str(STEPS)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
    assert subprocess.run([*command, "6"], check=False, env=env).returncode == -signal.SIGKILL
    assert torch.load(tmp_path / "killed" / "kept.pt", weights_only=True)["step"] == 6
    told = subprocess.run(command, check=True, env=env, capture_output=True, text=True).stdout
    assert told.splitlines() == [f"{name} {digest}" for name, (digest, _) in alone.items()]
    for name in ("boxes", "masks", "tags"):  # ten steps teach no captions
        losses = alone[name][1]
        assert sum(losses[-3:]) < sum(losses[:3]), name
