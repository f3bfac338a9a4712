"""Every adapter passes the one check of support/exactness.py, with the real library."""

import importlib.util
import os
from pathlib import Path

import pytest

from support.exactness import PATIENCE, Life, begin, check_exactness, check_notes, complaints


def check(shards: Path, home: Path, trainer: str, library: str, seed: int) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip("the extra interop is not installed")
    check_exactness(shards, home, f"support.trainers.{trainer}", seed)


def test_a_loop_over_a_dataloader_trains_the_same_after_three_kills(shards: Path, tmp_path: Path) -> None:
    check(shards, tmp_path / "run", "plain_loop", "torch", 1)


def test_lightning_trains_the_same_after_three_kills(shards: Path, tmp_path: Path) -> None:
    check(shards, tmp_path / "run", "in_lightning", "lightning", 2)


def test_accelerate_trains_the_same_after_three_kills(shards: Path, tmp_path: Path) -> None:
    check(shards, tmp_path / "run", "in_accelerate", "accelerate", 3)


def test_transformers_trains_the_same_after_three_kills(shards: Path, tmp_path: Path) -> None:
    check(shards, tmp_path / "run", "in_transformers", "transformers", 4)


@pytest.mark.servers  # of Ray's cluster, whose workers import all anew at each start
@pytest.mark.skipif("TARN_LONG_TESTS" not in os.environ, reason="takes minutes: set TARN_LONG_TESTS=1")
def test_ray_train_trains_the_same_after_three_kills(shards: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("the extra interop is not installed")
    home = tmp_path / "run"
    home.mkdir()
    driver = begin(Life(str(shards), str(home), 0, 0, 1, 5, "support.trainers.in_ray"))
    driver.join(8 * PATIENCE)
    driver.kill()
    driver.join()
    assert driver.exitcode == 0, complaints(home, 0)
    check_notes(shards, home)
