"""Packings that are interrupted in this process."""

import pytest

from tarn.sharding.packing import workers
from tarn.sharding.packing.writer import Task, Written


def interrupt_behind(shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = workers.make_shard, shards

    def mortal(task: Task, *words: object) -> Written:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        return real(task, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(workers, "make_shard", mortal)
