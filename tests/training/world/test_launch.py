"""Several processes by our own launcher: whatever ends them is told in one sentence, by the exit code too."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from support.commands import pid_of_rank
from tarn.sharding.errors import TarnError, UsageError
from tarn.training.world.failure import FILE, TOLD_BY_LAUNCHER, LostRankError, hand_over
from tarn.training.world.launch import verdict
from tarn.training.world.loss import told_of_loss

WORDS = [
    "--model.arch=resnet18", "--model.small_stem=true", "--data.image_size=32", "--data.lanes=4",
    "--data.active_shards=4", "--data.workers=0", "--optim.epochs=200", "--optim.global_batch=20",
    "--checkpoint.every_steps=1", "--journal.tensorboard=false", "--device=cpu", "--amp=off",
]  # fmt: skip
PATIENCE = 240.0  # s; what takes longer would take for ever


def launched(shards: Path, run: Path, *more: str) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m", "tarn.training", "launch", "--standalone", "--nproc-per-node=2"]
    return subprocess.Popen(
        [*launcher, "fit", f"--data.shards={shards}", f"--out={run}", *WORDS, *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def process(shards: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Two ranks in the midst of a long run."""
    process = launched(shards, tmp_path / "run")
    deadline = time.monotonic() + PATIENCE
    while not (tmp_path / "run" / "checkpoints" / "step-00000002.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield process
    process.kill()


def steps(run: Path) -> list[int]:
    return sorted(json.loads(path.read_text())["step"] for path in (run / "checkpoints").glob("*.json"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ranks_that_are_asked_to_leave_save_and_nothing_else_is_said(
    process: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    process.send_signal(number)
    told, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, error) == (128 + number, "")
    assert f"Asked to stop: saved after step {steps(tmp_path / 'run')[-1]}." in told.splitlines()[-1]


def test_a_lost_rank_is_named_with_its_signal_in_one_sentence(process: subprocess.Popen[str], tmp_path: Path) -> None:
    os.kill(pid_of_rank(tmp_path / "run", 1), signal.SIGKILL)
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert error.startswith("error: rank 1: ended by SIGKILL")
    assert error.count("\n") == 1
    assert steps(tmp_path / "run")


def test_a_mistake_is_told_once_whatever_the_number_of_ranks(shards: Path, tmp_path: Path) -> None:
    process = launched(shards, tmp_path / "run", "--optim.lrr=1")
    told, error = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told) == (2, "")
    assert "'optim.lrr' is unknown" in error
    assert error.count("\n") == 1


def failure(folder: Path, rank: int, code: int, error: TarnError | None = None) -> ProcessFailure:
    """As torchrun has it of a rank that ended with the code, after it handed the error over."""
    file = folder / f"{rank}.json"
    if error is not None:
        assert hand_over(error, {FILE: str(file), TOLD_BY_LAUNCHER: "1"})
    return ProcessFailure(local_rank=rank, pid=1000 + rank, exitcode=code, error_file=str(file))


def test_the_cause_is_told_and_not_what_followed_from_it(tmp_path: Path) -> None:
    lost, cause = LostRankError("rank 0 lost another rank."), UsageError("seed=x must be a number.")
    failures = {
        0: failure(tmp_path, 0, 1, lost),
        1: failure(tmp_path, 1, 2, cause),
        2: failure(tmp_path, 2, -signal.SIGTERM),
        3: failure(tmp_path, 3, 2, cause),
        4: failure(tmp_path, 4, -signal.SIGKILL),
    }
    failures[4].timestamp += 31  # torchrun's patience was at its end
    assert verdict(failures) == (["ranks 1, 3: seed=x must be a number."], 2)
    del failures[1], failures[3], failures[4]
    assert verdict(failures) == (["rank 0: rank 0 lost another rank.", "rank 2: ended by SIGTERM: start the same "
                                  "command again, a run goes on from its last checkpoint."], 1)  # fmt: skip
    assert verdict({0: failure(tmp_path, 5, 3)}) == (
        ["rank 0: ended with exit code 3; what it said stands above."],
        3,
    )


def test_ranks_that_left_because_they_were_asked_have_no_fault(tmp_path: Path) -> None:
    failures = {0: failure(tmp_path, 0, -signal.SIGTERM), 1: failure(tmp_path, 1, 128 + signal.SIGUSR1)}
    assert verdict(failures) == ([], 128 + signal.SIGUSR1)


def test_torchrun_finds_the_sentence_and_the_rank_says_it_itself(tmp_path: Path) -> None:
    file = tmp_path / "error.json"
    assert not hand_over(TarnError("a.tar is damaged."), {FILE: str(file)})
    told = ProcessFailure(local_rank=0, pid=1, exitcode=1, error_file=str(file)).message
    assert isinstance(told, dict)
    assert told["extraInfo"]["py_callstack"] == "a.tar is damaged."
    assert not hand_over(TarnError("a.tar is damaged."), {})
    assert not hand_over(TarnError("x"), {FILE: str(tmp_path / "none" / "x"), TOLD_BY_LAUNCHER: "1"})


def test_only_what_a_lost_connection_raises_counts_as_a_lost_rank() -> None:
    with pytest.raises(LostRankError, match=r"rank 3 lost another rank \(Connection closed by peer"):  # noqa: SIM117
        with told_of_loss(3):
            raise RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1")
    with pytest.raises(RuntimeError, match="mat1 and mat2"), told_of_loss(3):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
