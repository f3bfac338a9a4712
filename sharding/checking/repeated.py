"""Keys that come more than once in a split, in whichever of its shards."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.checking.shard import Checked, Task
from tarn.sharding.format.manifest import parse_index
from tarn.sharding.looking.names import keys_of
from tarn.sharding.looking.windows import Windows

NAMED = 10


def check_repeated(tasks: Sequence[Task], checked: Sequence[Checked]) -> Iterator[str]:
    """tasks, checked: of one split, in order. Compared by eight bytes of each key's digest: of ten million different
    keys two fall together with a chance of 3e-6."""
    none = np.zeros(0, np.uint64)
    parts = [it.digests if it.digests is not None else none for it in checked]
    starts = np.cumsum([0, *map(len, parts)])
    for place in repeated(np.concatenate([none, *parts]))[:NAMED]:
        number = int(np.searchsorted(starts, place, "right")) - 1
        yield f"{tasks[number].url}: the key {key_at(tasks[number], place - int(starts[number]))} comes more than once."


def repeated(digests: NDArray[np.uint64]) -> list[int]:
    """Places of those that came before."""
    order = np.argsort(digests, kind="stable")
    again = digests[order[1:]] == digests[order[:-1]]
    return sorted(order[1:][again].tolist())


def key_at(task: Task, row: int) -> str:
    records = parse_index(storage.read_bytes(task.index_url), task.index_url)
    return next(keys_of(Windows(task.tars), task.shard, records, task.reading is not None, [row]))
