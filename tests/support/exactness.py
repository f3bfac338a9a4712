"""One check for every trainer: killed three times within an epoch, on other numbers of ranks each time, it trains what
an undisturbed run trains, and evaluates every picture once.

Ranks are processes, forked from one that has imported the libraries before. One of them kills itself by SIGKILL when it
is about to train the step that was drawn; the others end as their trainer lets them.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore

from tarn.training.streaming import ShardLoader

LIBRARIES = ("lightning", "accelerate", "transformers.trainer", "torchdata.stateful_dataloader", "torchft")
LIBRARIES += ("torch._dynamo", "torch.distributed.fsdp")  # which torch imports when they are first needed
GLOBAL_BATCH = 8
STEPS = 15  # of an epoch of 120 pictures
LAST = STEPS + 4  # the run ends in its second epoch
RANKS = (2, 3, 1, 2)
PATIENCE = 120  # s that a rank may take to end, on a busy machine


@dataclass(frozen=True)
class Life:
    """What one rank of one start is told. kill: before which step it kills itself, if ever."""

    shards: str
    home: str  # for checkpoints of the library, and for notes
    number: int
    rank: int
    ranks: int
    kill: int | None
    trainer: str

    def loader(self, train: bool = True, **more: Any) -> ShardLoader:
        settings: dict[str, Any] = {"global_batch": GLOBAL_BATCH, "image_size": 16, "keys": True, "num_workers": 0}
        return ShardLoader(self.shards, "train" if train else "val", train=train, **{**settings, **more})

    def trains(self, step: int, keys: Sequence[str]) -> None:
        """To be called with the trainer's own count of steps, before the step is taken."""
        if step == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        self.note("trained", [step, list(keys)])

    def evaluated(self, keys: Sequence[str]) -> None:
        """To be called with all keys of an evaluation that is done."""
        self.note("evaluated", list(keys))

    def note(self, what: str, told: object) -> None:
        with (Path(self.home) / f"{what}-{self.number}-{self.rank}.jsonl").open("a") as file:
            file.write(json.dumps(told) + "\n")


def live(life: Life, environment: dict[str, str]) -> None:
    """The process of a rank: the trainer's module has a function `train`."""
    told = (Path(life.home) / f"told-{life.number}-{life.rank}.txt").open("w", buffering=1)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(told.fileno(), stream.fileno())
    os.environ |= environment | {
        "RANK": str(life.rank),
        "LOCAL_RANK": str(life.rank),
        "WORLD_SIZE": str(life.ranks),
        "LOCAL_WORLD_SIZE": str(life.ranks),
        "MASTER_ADDR": "127.0.0.1",
        "TORCHELASTIC_RUN_ID": "exactness",
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the test has the store: no port is chosen that another may take
    }
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        import_module(life.trainer).train(life)
    except BaseException:
        traceback.print_exc(file=told)
        raise


def begin(life: Life, **environment: object) -> ForkServerProcess:
    """In a process that is forked from one which has imported the libraries."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    told = {name: str(value) for name, value in environment.items()}
    process = context.Process(target=live, args=(life, told), daemon=True)
    process.start()
    return process


def start(shards: Path, home: Path, trainer: str, number: int, ranks: int, kill: int | None, victim: int) -> list[int]:
    """All ranks to their ends; their exit codes."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    lives = [
        Life(str(shards), str(home), number, rank, ranks, kill if rank == victim else None, trainer)
        for rank in range(ranks)
    ]
    processes = [begin(life, MASTER_PORT=store.port) for life in lives]
    for process in processes:
        process.join(PATIENCE)
        process.kill()
        process.join()
    return [int(process.exitcode or 0) for process in processes]


def chosen_kills(seed: int) -> Iterator[tuple[int, int | None, int]]:
    """Of each start its ranks, the step before which one is killed, and which; the last one comes through."""
    rng = random.Random(seed)
    kills = [rng.randint(2, 3), rng.randint(6, 9), rng.randint(12, STEPS - 1), None]  # the later ones evaluate before
    for size, kill in zip(RANKS, kills, strict=True):
        yield size, kill, rng.randrange(size)


def check_exactness(shards: Path, home: Path, trainer: str, seed: int) -> None:
    """trainer: a module whose train(life) trains up to LAST steps with checkpoints of its library, goes on from the
    last one, and tells life of each step and evaluation."""
    home.mkdir(parents=True)
    for number, (size, kill, victim) in enumerate(chosen_kills(seed)):
        codes = start(shards, home, trainer, number, size, kill, victim)
        assert codes[victim] == (0 if kill is None else -signal.SIGKILL), complaints(home, number)
    check_notes(shards, home)


def check_notes(shards: Path, home: Path) -> None:
    expected = undisturbed(shards)
    trained = surviving(home)
    assert sorted(trained) == list(range(LAST))
    for step, keys in trained.items():
        assert sorted(keys) == sorted(expected[step]), f"step {step}"
    check_evaluations(shards, home)


def undisturbed(shards: Path) -> list[tuple[str, ...]]:
    """Keys of each global batch, as the loader alone gives them."""
    loader = Life(str(shards), "", 0, 0, 1, None, "").loader(rank=0, world_size=1)
    keys = [batch.keys for _ in range(2) for batch in loader]
    loader.close()
    return keys


def surviving(home: Path) -> dict[int, list[str]]:
    """Of each step the keys of all ranks, of the start whose checkpoint the next ones went on from."""
    trained: dict[int, list[str]] = {}
    for number, size in enumerate(RANKS):
        notes = [read(home, "trained", number, rank) for rank in range(size)]
        first = {rank[0][0] for rank in notes}
        assert len(first) == 1, f"start {number}: ranks began at different steps"
        begun = first.pop()
        assert (begun > 0) == (number > 0), f"start {number} began at step {begun}"
        trained = {step: keys for step, keys in trained.items() if step < begun}
        found = defaultdict(list)
        for step, keys in (note for rank in notes for note in rank):
            found[step] += keys
        trained |= found
    return trained


def check_evaluations(shards: Path, home: Path) -> None:
    """Each that all ranks came to the end of; one at least by each number of ranks."""
    loader = Life(str(shards), "", 0, 0, 1, None, "").loader(train=False, rank=0, world_size=1)
    every = sorted(key for batch in loader for key in batch.keys)
    loader.close()
    sizes = []
    for number, size in enumerate(RANKS):
        for shares in zip(*(read(home, "evaluated", number, rank) for rank in range(size)), strict=False):
            assert sorted(key for share in shares for key in share) == every, f"start {number}"
            sizes.append(size)
    assert set(sizes) == set(RANKS)


def read(home: Path, what: str, number: int, rank: int) -> list[Any]:
    path = home / f"{what}-{number}-{rank}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def complaints(home: Path, number: int) -> str:
    return "\n".join(path.read_text()[-3000:] for path in sorted(home.glob(f"told-{number}-*.txt")))
