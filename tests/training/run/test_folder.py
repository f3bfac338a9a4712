"""Run folders that another run has, that are full, and that may not be written or read: one sentence each."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.datasets import contents
from support.disks import NO_MASTER, full_disk
from support.runs import WORDS, fit
from tarn.training.run.lock import RunLock


def test_a_second_run_in_a_folder_is_refused_and_changes_nothing(
    shards: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(RunLock.__init__, "__defaults__", (0.0,))
    first = RunLock(copy)
    before = contents(copy)
    fit(shards, copy, "--optim.epochs=2", "--optim.lr=0.2", expected=1)
    error = capsys.readouterr().err
    assert f"the run folder {copy} is in use by process {os.getpid()} on " in error
    assert error.count("\n") == 1
    assert contents(copy) == before
    first.release()
    fit(shards, copy)


def test_a_disk_that_is_full_at_the_start_is_told_in_one_sentence(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with full_disk(100):
        fit(shards, tmp_path, "--journal.tensorboard=true", expected=1)
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path} cannot be written (")
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("*.tmp"))


REFUSED = """
import sys
from pathlib import Path
from tarn.training.__main__ import main
words = sys.argv[2:]
for name in ("run", "below/run", "other/run", "torn"):
    print(main(["fit", f"--out={Path(sys.argv[1], name)}", *words]), flush=True)
"""


def test_folders_and_checkpoints_that_may_not_be_used_are_told_in_one_sentence(
    shards: Path, whole: Path, tmp_path: Path
) -> None:
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere; without setpriv that cannot be taken from it")
    for name in ("run", "torn"):
        shutil.copytree(whole, tmp_path / name)
    (tmp_path / "other" / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "below").mkdir()
    (step,) = (tmp_path / "torn" / "checkpoints").glob("*.pt")
    modes = {"run/run.lock": 0o444, "run": 0o555, "below": 0o555, "other/run/checkpoints": 0o555}
    for name, mode in modes.items():
        (tmp_path / name).chmod(mode)
    step.chmod(0)
    drop = ["setpriv", *NO_MASTER] if os.getuid() == 0 else []
    done = subprocess.run(
        [*drop, sys.executable, "-c", REFUSED, str(tmp_path), f"--data.shards={shards}", *WORDS],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    for name in modes:
        (tmp_path / name).chmod(0o755)
    assert done.stdout.split("\n")[:4] == ["1"] * 4, done.stderr
    told = done.stderr.splitlines()
    assert [line.partition(" (")[0] for line in told] == [
        f"error: the run folder {tmp_path}/run cannot be written",
        f"error: the run folder {tmp_path}/below/run cannot be written",
        f"error: {tmp_path}/other/run/checkpoints cannot be written",
        f"error: no checkpoint in {tmp_path}/torn/checkpoints is sound",
    ]
    assert f"{step} cannot be read ([Errno 13] Permission denied" in told[3]
