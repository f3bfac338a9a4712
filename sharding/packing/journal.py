"""Keeps count of the shards that are done, and makes it last: a thread writes their records while the next are made."""

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.pending import record_name
from tarn.sharding.packing.records import Record
from tarn.sharding.packing.writer import Task, Written
from tarn.sharding.storage.local import flush

WAITING = 4  # shards in their place that may wait for the disk: it is not to fall behind unnoticed


class Journal:
    """marks: of each split's packing. written: what was made of each shard, by its name; done: how many of them need
    not be made again."""

    def __init__(self, root: str, marks: Mapping[str, str], kept: Mapping[str, Written]) -> None:
        self.root, self.marks = root, marks
        self.written, self.done = dict(kept), len(kept)
        self.thread = ThreadPoolExecutor(1, "tarn-records")
        self.coming: deque[Future[None]] = deque()

    def __enter__(self) -> "Journal":
        return self

    def add(self, task: Task, written: Written) -> None:
        """Of a shard that is in its place. Raises TarnError of this or an earlier one that cannot be recorded."""
        self.written[task.name] = written
        if is_final(task, written):
            self.coming.append(self.thread.submit(self.record, task.name, written))
        while len(self.coming) > WAITING or (self.coming and self.coming[0].done()):
            self.coming.popleft().result()

    def record(self, name: str, written: Written) -> None:
        """Behind what it tells of: after a power cut the one is not there without the other."""
        version = None
        if written.info is not None:
            settle(self.root, [name, written.info.index_name])
            version = storage.state(storage.join(self.root, name)).version
        record = Record(self.marks[name.partition("/")[0]], written, version)
        storage.publish(storage.join(self.root, record_name(name)), record.to_json().encode())
        self.done += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.thread.shutdown()
        if error is None:
            for future in self.coming:
                future.result()


def is_final(task: Task, written: Written) -> bool:
    """Whether making it again would come to the same: not where a disk failed, nor where pictures must be mended."""
    return not written.damaged or (task.skip and all(damage.lasting for damage in written.damaged))


def settle(root: str, names: list[str]) -> None:
    """Waits until the medium has the files and their names; a store has them already. Raises TarnError."""
    folder = storage.local_path(root)
    if folder is None:
        return
    try:
        for name in names:
            flush(folder / name)
        storage.flush_folder((folder / names[0]).parent)
    except OSError as error:
        raise TarnError(f"{folder / names[0]} cannot be written ({storage.reason(error)}): check the disk.") from error
