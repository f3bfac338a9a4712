"""Which samples each step saw, by key: a JSON line a step and rank, for those who must be able to tell."""

import contextlib
import json
from pathlib import Path

from tarn.sharding.errors import TarnError
from tarn.sharding.storage.local import write_whole
from tarn.training.world.world import World


class Trace:
    """keys/rank-0.jsonl and so on in the run's folder; lines of steps after `step`, of a killed run, are dropped.

    A line: step (from 0, over the whole run), ranks, and the keys of this rank's share in its order (ranks.py).
    """

    def __init__(self, folder: Path, world: World, step: int) -> None:
        self.ranks = world.size
        if world.is_main:
            for path in folder.glob("rank-*.jsonl"):
                forget_steps(path, step)
        world.barrier()
        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / f"rank-{world.rank}.jsonl").open("a", encoding="utf-8")
        self.keys: list[str] = []

    def see(self, keys: tuple[str, ...]) -> None:
        self.keys += keys

    def end_step(self, step: int) -> None:
        try:
            self.file.write(json.dumps({"step": step, "ranks": self.ranks, "keys": self.keys}) + "\n")
            self.file.flush()
        except OSError as error:
            raise TarnError(
                f"{self.file.name} cannot be written ({error}): make room and run again, or set journal.keys=false."
            ) from error
        self.keys = []

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.file.close()


def forget_steps(path: Path, step: int) -> None:
    """Drops lines of `step` and later, and a torn last one."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < step]
    if len(kept) != len(lines):
        write_whole(path, "".join(kept))
