"""Ranks that die, and ranks that become more or fewer, while they stream from an object store."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from servers.s3 import S3Server
from support.commands import pid_of_rank
from tarn.training.world.ranks import Ranks

BATCH, LANES, STEPS = 20, 4, 12
RUN = [
    "--model.arch=resnet18",
    "--data.image_size=32",
    "--data.eval_resize=36",
    f"--data.lanes={LANES}",
    "--data.active_shards=4",
    "--optim.epochs=2",
    f"--optim.global_batch={BATCH}",
    "--optim.lr=0.02",
    "--optim.warmup_epochs=1",
    "--checkpoint.every_steps=2",
    "--journal.tensorboard=false",
    "--journal.keys=true",
    "--device=cpu",
]


def launched(ranks: int, url: str, run: Path, cache: Path, restarts: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}",
            f"--max-restarts={restarts}", "--monitor-interval=0.1", "-m",
            "training", "fit", f"--data.shards={url}", f"--out={run}", f"--data.cache={cache}", *RUN,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for_step(step: int, run: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200
    while not (run / "checkpoints" / f"step-{step:08d}.json").exists():
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    told, _ = process.communicate(timeout=240)
    assert process.returncode == code, told[-3000:]
    return told


def global_batches(run: Path) -> list[list[str]]:
    """The keys of every step in their order, put together from the ranks' shares."""
    steps: dict[int, dict[int, list[str]]] = {}
    sizes: dict[int, int] = {}
    for path in (run / "keys").glob("rank-*.jsonl"):
        for line in path.read_text().splitlines():
            told = json.loads(line)
            steps.setdefault(told["step"], {})[int(path.stem.split("-")[1])] = told["keys"]
            sizes[told["step"]] = told["ranks"]
    found = []
    for step in range(STEPS):
        batch = [""] * BATCH
        for rank in range(sizes[step]):
            for place, key in zip(Ranks(rank, sizes[step]).share(BATCH, LANES), steps[step][rank], strict=True):
                batch[place] = key
        found.append(batch)
    return found


@pytest.fixture(scope="module")
def remote(s3: S3Server, shards: Path) -> str:
    url = s3.make_bucket("elastic-" + os.urandom(6).hex())
    s3.put_tree(url, shards)
    return url


@pytest.fixture
def store(s3_env: dict[str, str]) -> None:
    """Points the environment, which the runs inherit, to the object store."""


@pytest.mark.usefixtures("store")
def test_runs_that_lose_a_rank_or_change_their_number_see_the_global_batches_of_a_whole_one(
    remote: str, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    ended(launched(1, remote, whole, tmp_path / "cache-a"))
    batches = global_batches(whole)
    assert len({key for batch in batches[:6] for key in batch}) == 6 * BATCH

    restarted = tmp_path / "restarted"
    process = launched(2, remote, restarted, tmp_path / "cache-b", restarts=2)
    wait_for_step(4, restarted, process)
    os.kill(pid_of_rank(restarted, 1), signal.SIGKILL)
    assert "Going on after step" in ended(process)
    assert global_batches(restarted) == batches

    elastic = tmp_path / "elastic"
    for ranks, step in ((2, 2), (1, 6)):
        process = launched(ranks, remote, elastic, tmp_path / "cache-b")
        wait_for_step(step, elastic, process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=240)
    assert "Going on after step" in ended(launched(3, remote, elastic, tmp_path / "cache-b"))
    assert global_batches(elastic) == batches
