"""Several processes at one result, really started, really killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tarn.inference.__main__ import main
from tarn.inference.bulk import ranks as all_ranks
from tarn.inference.bulk.job import Share
from tarn.inference.bulk.ranks import share_of, start_ranks, take_own_gpu
from tarn.sharding.errors import TarnError

FAST = ["--device=cpu", "--workers=1"]


@pytest.fixture(scope="module")
def alone(model: Path, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What one process makes of it."""
    out = tmp_path_factory.mktemp("alone") / "r.csv"
    assert main(["predict", str(model), str(shards), "--split=val", f"--out={out}", *FAST]) == 0
    return out.read_bytes()


def test_two_ranks_make_the_file_of_one(model: Path, shards: Path, tmp_path: Path, alone: bytes) -> None:
    out = tmp_path / "r.csv"
    words = ["predict", str(model), str(shards), "--split=val", f"--out={out}", "--ranks=2", *FAST]
    assert main(words) == 0
    assert out.read_bytes() == alone
    assert list(tmp_path.iterdir()) == [out]


def test_processes_of_a_launcher_make_the_file_of_one(model: Path, shards: Path, tmp_path: Path, alone: bytes) -> None:
    """As torchrun starts them: rank 1 may come late, and rank 0 waits for it; or early, when an old result is there."""
    out = tmp_path / "r.csv"
    out.write_text("an old result")
    command = [sys.executable, "-m", "tarn.inference", "predict", str(model), str(shards), "--split=val"]
    both = [
        subprocess.Popen(
            [*command, f"--out={out}", "--overwrite", *FAST],
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"},
        )
        for rank in (0, 1)
    ]
    assert [process.wait(timeout=200) for process in both] == [0, 0]
    assert out.read_bytes() == alone


def test_a_rank_that_fails_ends_the_others_with_its_own_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", str(tmp_path / "gone.pt"), str(tmp_path), f"--out={tmp_path}/r.csv"]
    assert start_ranks(words, 2) == 1
    assert "gone.pt cannot be read" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_rank_that_is_killed_is_told_by_its_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(words: object, rank: int, ranks: int, lifeline: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])

    monkeypatch.setattr(all_ranks, "start", killed)
    with pytest.raises(TarnError, match=r"rank [01] was ended by signal 9 .*the same command goes on"):
        start_ranks([], 2)


def test_each_rank_of_a_host_sees_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for seen, rank, own in (("4,5,6", 1, "5"), ("GPU-a,GPU-b", 0, "GPU-a"), ("0", 3, "0")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
        take_own_gpu(rank)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == own


def test_a_launcher_tells_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    assert share_of(None) == (Share(0, 1), 0)
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert share_of(None) == (Share(3, 8), 1)
    assert [Share(1, 3).has(unit) for unit in range(4)] == [False, True, False, False]
