"""Every adapter passes the one check of support/exactness.py, with the real library."""

import importlib.util
from pathlib import Path

import pytest

from support.exactness import check_exactness


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
