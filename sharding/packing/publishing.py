"""A shard to its place as soon as it is made: on a disk by rename, to a store in parts."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.leftovers import MANIFEST
from tarn.sharding.format.manifest import PENDING
from tarn.sharding.packing.writer import Task, Written, write_shard


@dataclass(frozen=True, slots=True)
class Target:
    """What lies at root while shards are packed beside it. before: stamp of the manifest, plan: that of what is
    pending, see stamp_of; None where there is none."""

    root: str
    before: str | None
    plan: str | None

    @classmethod
    def at(cls, root: str) -> "Target":
        return cls(root, stamp_of(root, MANIFEST), stamp_of(root, PENDING))

    def refuse_changed(self) -> None:
        """Raises TarnError where somebody who knows no lock has put another dataset there, or another packing has begun
        while nobody noticed that this one's command was killed: its tars may have the names of ours."""
        for name, stamp in ((MANIFEST, self.before), (PENDING, self.plan)):
            if stamp_of(self.root, name) != stamp:
                raise TarnError(
                    f"{storage.join(self.root, name)} changed meanwhile: nothing was published, start again."
                )


def stamp_of(root: str, name: str) -> str | None:
    """Another one when the file is: the version of a store that tells one, else the SHA-256. It is asked for each
    shard, and the file lists all of them."""
    url = storage.join(root, name)
    if not storage.exists(url):
        return None
    version = storage.state(url).version if storage.local_path(url) is None else None
    return version or hashlib.sha256(storage.read_bytes(url)).hexdigest()


def make_shard(task: Task, target: Target, progress: Callable[[int, int], None]) -> Written:
    """Written aside and put in its place; nothing of it stays aside. Raises TarnError, OSError."""
    written = write_shard(task, progress)
    if task.expected is not None:
        refuse_other(task, written)
    if written.info is not None:
        target.refuse_changed()
        for name in (written.info.index_name, written.info.name):
            storage.publish_file(task.folder / name, storage.join(target.root, name))
    return written


def refuse_other(task: Task, written: Written) -> None:
    """Raises TarnError where something else came of a shard than was expected."""
    if written.info != task.expected:
        damaged = "; ".join(f"{it.picture.place}: {it.problem}" for it in written.damaged)
        raise TarnError(
            f"{task.name} cannot be made as it was, its pictures gave other bytes"
            f"{f' ({damaged})' if damaged else ''}: a picture changed, or it was packed with another --check or by "
            "another Tarn; it was left as it is."
        )
