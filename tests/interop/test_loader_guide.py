"""Every program of docs/loader-guide.md runs as it stands there, is started again, and goes on within an epoch."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed import TCPStore

from support.checkout import ROOT
from support.exactness import PATIENCE, Life, begin, complaints, start
from tarn.sharding.__main__ import main

GUIDE = (ROOT / "docs" / "loader-guide.md").read_text()
TRAINERS = {"train_plain.py": "torch", "train_lightning.py": "lightning", "train_accelerate.py": "accelerate",
            "train_transformers.py": "transformers"}  # fmt: skip


def blocks() -> list[str]:
    found = re.findall(r"(?:^(?:    .*)?\n)+", GUIDE, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") for block in found if block.strip()]


def programs() -> dict[str, str]:
    return {name[1]: block for block in blocks() if (name := re.match(r"# (\w+\.py)\n", block))}


def commands() -> list[str]:
    told = [block.replace("\\\n", " ") for block in blocks() if not block.startswith("# ")]
    return [line for block in told for line in block.splitlines()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's folder, with all programs, and the shards that the guide's own commands make."""
    folder = tmp_path_factory.mktemp("reader")
    for name, text in programs().items():
        (folder / name).write_text(text + "\n")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for command in commands():
            if " -m tarn.sharding " in command:
                assert main(shlex.split(command.partition(" -m tarn.sharding ")[2])) == 0
    finally:
        os.chdir(before)
    return folder


def test_every_block_is_a_program_that_a_command_starts_or_a_command() -> None:
    told = programs()
    assert set(told) == {*TRAINERS, "network.py", "faces.py", "train_ray.py", "replica.py"}
    for name in set(told) - {"network.py"}:
        assert sum(name in command for command in commands()) == 1, name
    assert all(command.startswith(("python3 -m venv", ".venv/bin/", "TORCHFT_")) for command in commands())


@pytest.mark.parametrize("name", TRAINERS)
def test_a_program_goes_on_where_it_stopped_on_another_number_of_ranks(home: Path, name: str) -> None:
    """36 steps, of which 35 were saved: the second start has one left."""
    if importlib.util.find_spec(TRAINERS[name]) is None:
        pytest.skip("the extra interop is not installed")
    for number, ranks in enumerate((1, 2)):
        shutil.rmtree(home / "transformers" / "checkpoint-36", ignore_errors=True)  # saved at the end, beyond the 35th
        codes = start(Path(name), home, "support.trainers.from_guide", number, ranks, None, 0)
        told = complaints(home, number)
        assert codes == [0] * ranks, told
        assert ("goes on at step 35" in told) == (number == 1), told
        assert "50 pictures" in told or '"pictures": 50' in told, told


@pytest.mark.skipif(importlib.util.find_spec("torchdata") is None, reason="the extra interop is not installed")
def test_a_dataloader_gives_what_was_asked_for(home: Path) -> None:
    life = Life("faces.py", str(home), 9, 0, 1, None, "support.trainers.from_guide")
    process = begin(life)
    process.join(PATIENCE)
    assert "12 batches an epoch, of 16 pictures each" in complaints(home, 9)


@pytest.mark.skipif(importlib.util.find_spec("torchft") is None, reason="the extra interop is not installed")
def test_replicas_take_the_steps_together(home: Path) -> None:
    from torchft.coordination import LighthouseServer

    lighthouse = LighthouseServer(bind="127.0.0.1:0", min_replicas=1, join_timeout_ms=200, quorum_tick_ms=20)
    address = f"http://127.0.0.1:{lighthouse.address().rpartition(':')[2]}"
    stores = [TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False) for _ in range(2)]  # torchrun's
    lives = [Life("replica.py", str(home), 10 + number, 0, 1, None, "support.trainers.from_guide") for number in (0, 1)]
    replicas = [
        begin(life, MASTER_PORT=store.port, TORCHFT_LIGHTHOUSE=address)
        for life, store in zip(lives, stores, strict=True)
    ]
    for life, replica in zip(lives, replicas, strict=True):
        replica.join(PATIENCE)
        replica.kill()
        assert "40 steps" in complaints(home, life.number)
    lighthouse.shutdown()


@pytest.mark.servers  # of Ray's cluster
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra interop is not installed")
def test_ray_goes_on_under_the_same_name(home: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    for number in range(2):
        done = subprocess.run(
            [sys.executable, "train_ray.py"], cwd=home, env=environment, capture_output=True, text=True, timeout=190
        )
        told = done.stdout + done.stderr
        assert done.returncode == 0, told
        assert ("goes on at step 35" in told) == (number == 1), told
