"""One pass over each tar: its digest and its samples. Several tars at a time, in threads: hashing and reading lets
others run."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from tarn.sharding import storage
from tarn.sharding.archives.headers import DamageError
from tarn.sharding.archives.tar import Stream, walk
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.layout import Tar
from tarn.sharding.foreign.reading import Reading
from tarn.sharding.foreign.samples import Samples, collect
from tarn.sharding.progress import progress_bar
from tarn.sharding.storage.clients import build_client
from tarn.sharding.storage.persistence import Reader

PIECE = 2 * 2**20  # bytes of a local file at a time


@dataclass(frozen=True, slots=True)
class Scan:
    """What one tar holds; damage says why it cannot be told."""

    tar: Tar
    sha256: str = ""
    samples: Samples | None = None
    damage: str = ""


class StoppedError(Exception):
    """Another tar could not be read, or the program is leaving."""


def scan_all(root: str, tars: Sequence[Tar], workers: int, reading: Reading) -> list[Scan]:
    """In the order of the tars. Raises TarnError for one that cannot be read; a damaged one is told in its scan."""
    reader = reader_of(root)
    stop, lock = threading.Event(), threading.Lock()
    with progress_bar(sum(tar.size for tar in tars), "indexing", "B") as bar:

        def advance(size: int) -> None:
            if stop.is_set():
                raise StoppedError
            with lock:
                bar.update(size)

        with ThreadPoolExecutor(workers, thread_name_prefix="tarn-index") as pool:
            futures = [pool.submit(scan, pieces(root, tar, reader), tar, reading, advance) for tar in tars]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return [future.result() for future in futures]


def reader_of(root: str) -> Reader | None:
    """For tars in a store; None for local ones."""
    return None if storage.local_path(root) is not None else Reader(root, build_client(root, {}))


def pieces(root: str, tar: Tar, reader: Reader | None) -> Iterator[bytes]:
    """The bytes of a tar. Raises TarnError naming it."""
    if reader is not None:
        yield from reader.stream(tar.name, 0, tar.size) if tar.size else ()
        return
    path = storage.local_path(storage.join(root, tar.name))
    assert path is not None
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(PIECE):
                yield piece
    except OSError as error:
        raise TarnError(f"{path} cannot be read ({storage.reason(error)}): check the disk and permissions.") from error


def scan(chunks: Iterator[bytes], tar: Tar, reading: Reading, advance: Callable[[int], Any]) -> Scan:
    """advance: told of each piece's bytes."""

    def counted() -> Iterator[bytes]:
        for chunk in chunks:
            advance(len(chunk))
            yield chunk

    stream = Stream(counted())
    try:
        samples = collect(walk(stream, reading.wants), reading)
    except DamageError as error:
        return Scan(tar, damage=str(error))
    if stream.position != tar.size:
        return Scan(tar, damage=f"it changed from {tar.size} to {stream.position} bytes while it was read")
    return Scan(tar, stream.digest.hexdigest(), samples)
