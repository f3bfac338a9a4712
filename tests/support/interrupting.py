"""Packings that are interrupted in this process."""

import pytest

from tarn.sharding.packing.engines import processes
from tarn.sharding.packing.writer import Task, Written


def interrupt_behind(shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = processes.make_shard, shards

    def mortal(task: Task, *words: object) -> Written:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        return real(task, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(processes, "make_shard", mortal)
