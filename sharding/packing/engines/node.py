"""What a node of a cluster does: it looks whether it can, makes one shard, and puts it in its place.

A shard that is made twice does no harm, for a node that was given up may live on: each attempt writes in a folder of
its own, both come to the same bytes and names, and the place is taken whole or not at all.
"""

import contextlib
import os
import pickle
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tarn.sharding.errors import TarnError
from tarn.sharding.format.lock import is_alive
from tarn.sharding.packing.engines.engine import Advance
from tarn.sharding.packing.engines.fingerprint import FINGERPRINT
from tarn.sharding.packing.journal import settle
from tarn.sharding.packing.publishing import Target, make_shard
from tarn.sharding.packing.staging import temporary_prefix
from tarn.sharding.packing.writer import Task, Written
from tarn.sharding.storage.told import TOLD, Store

Outcome = Written | TarnError | OSError  # errors come back as values, whole, not as Ray's errors that quote them
TOKEN = "token"


@dataclass(frozen=True, slots=True)
class Host:
    """What the command's host tells every node. folder: its working folder; environment: variables of stores.

    shared: the folder on the target's disk in which shards are written aside, and token: what its file of that name
    holds; None of a store, of which each node has a folder of its own. described: what decides the bytes.
    """

    target: Target
    folder: str
    store: Store
    environment: Mapping[str, str]
    shared: str | None
    token: str
    described: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Order:
    """attempt: a name that no other has. seen: a path that the task's pictures have on the command's host."""

    host: Host
    task: Task
    attempt: str
    seen: str | None


def carry_out(order: bytes, code: str, advance: Advance = lambda pictures, data: None) -> Outcome:
    """order: an Order, pickled, for only the same code understands it. Credentials in it are in no log by that, too.
    advance: told of pictures; what it raises stops the shard."""
    if code != FINGERPRINT:
        return TarnError(
            f"{here()} has another Tarn, {FINGERPRINT}, than this host, {code}: install the same on every node."
        )
    return fulfil(pickle.loads(order), advance)


def fulfil(order: Order, advance: Advance) -> Outcome:
    host, task = order.host, order.task
    TOLD.store = host.store
    os.environ.update(host.environment)
    with contextlib.suppress(OSError):  # then paths below it are not seen here, which is told
        os.chdir(host.folder)
    try:
        refuse_unfit(order)
        with aside(order) as folder:
            written = make_shard(replace(task, folder=folder), host.target, advance)
            if written.info is not None:
                settle(host.target.root, [written.info.name, written.info.index_name])
            return written
    except TarnError as error:
        return error
    except OSError as error:
        return TarnError(f"packing stopped on {here()} ({error}): make room or check permissions.")


def refuse_unfit(order: Order) -> None:
    """Raises TarnError where this node does not see the target or the source, or would make other bytes."""
    host = order.host
    if host.shared is not None:
        try:
            token = (Path(host.shared) / TOKEN).read_text()
        except OSError:
            token = ""
        if token != host.token:
            raise TarnError(
                f"{here()} does not see {Path(host.shared).parent}, where shards are to be put: with --engine ray "
                "that must be a store, or a folder of a disk that all nodes share under the same path."
            )
    if order.seen is not None and not os.access(order.seen, os.F_OK):
        raise TarnError(
            f"{here()} does not see {order.seen} of the source: with --engine ray that must lie in a store, or on a "
            "disk that all nodes share under the same path."
        )
    mine = order.task.preparation.describe()
    if mine != host.described:
        other = [word for word in host.described if mine.get(word) != host.described[word]]
        raise TarnError(
            f"{here()} would make other bytes, its {', '.join(f'{word} is {mine.get(word)}' for word in other)} and "
            f"not {', '.join(str(host.described[word]) for word in other)}: install the same on every node."
        )


@contextmanager
def aside(order: Order) -> Iterator[Path]:
    """A folder for this attempt alone, gone at the end."""
    if order.host.shared is not None:
        folder = Path(order.host.shared) / order.attempt
        folder.mkdir()
    else:
        prefix = f"{temporary_prefix(order.host.target.root)}{platform.node()}-"
        clear_dead(prefix)
        folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_dead(prefix: str) -> None:
    """What killed processes of this host left among the temporary files."""
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        process = left.name.removeprefix(prefix).partition("-")[0]
        if process.isdigit() and not is_alive(int(process)):
            shutil.rmtree(left, ignore_errors=True)


def here() -> str:
    return f"node {platform.node()}"
