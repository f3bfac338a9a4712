"""Finished parts of a result, beside the file that they become: what a job that anything ended goes on with.

    .<name>.parts/000012-0003-<digest>-1024-2[.last]

is part 3 of unit 12: so many rows, so many of them with errors, perhaps the last of its unit. The digest is of the
job's settings and the unit's key, so that parts of another job, or of shards that changed, are not taken for its own.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tarn.inference.bulk.formats import Format
from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.storage.local import flush_folder, write_whole

NAME = re.compile(r"(\d{6,})-(\d{4,})-([0-9a-f]{16})-(\d+)-(\d+)(\.last)?")
LOCK, JOINED = "lock", "joined"


@dataclass(frozen=True, slots=True)
class Part:
    unit: int
    number: int
    digest: str
    rows: int
    broken: int
    is_last: bool

    @property
    def name(self) -> str:
        last = ".last" if self.is_last else ""
        return f"{self.unit:06d}-{self.number:04d}-{self.digest}-{self.rows}-{self.broken}{last}"

    @classmethod
    def named(cls, name: str) -> "Part | None":
        found = NAME.fullmatch(name)
        if found is None:
            return None
        unit, number, digest, rows, broken, last = found.groups()
        return cls(int(unit), int(number), digest, int(rows), int(broken), last is not None)


class Parts:
    """Of the result at `out`. settings: all that decides its bytes beside the pictures, as JSON."""

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.out, self.folder = out, out.with_name(f".{out.name}.parts")
        self.settings = json.dumps(settings, sort_keys=True)

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """By the process that joins them. Raises TarnError where another one does, or nothing can be written there."""
        with self.shared():
            try:
                lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:  # whoever was at it has just finished
                raise unwritable(self.out, error) from error
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise TarnError(f"{self.out} is being written by another process: wait for it, or stop it.") from None
            except OSError:  # a file system without locks
                pass
            try:
                yield
            finally:
                os.close(lock)
                self.drop_if_empty()

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """By a process that makes some of them."""
        try:
            self.folder.mkdir(exist_ok=True)
            (self.folder / LOCK).touch()
        except OSError as error:
            raise unwritable(self.out, error) from error
        yield

    def drop_if_empty(self) -> None:
        """Where no part was made."""
        with contextlib.suppress(OSError):
            if [path.name for path in self.folder.iterdir()] == [LOCK]:
                shutil.rmtree(self.folder)

    def digest(self, key: str) -> str:
        return hashlib.sha256(f"{self.settings}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def found(self) -> dict[tuple[int, int, str], Part]:
        """By unit, number and digest."""
        try:
            parts = list(filter(None, (Part.named(path.name) for path in self.folder.iterdir())))
        except FileNotFoundError:  # all ranks were done, and the first has joined them
            return {}
        return {(part.unit, part.number, part.digest): part for part in parts}

    def keep(self, part: Part, data: bytes, may_be_late: bool = False) -> None:
        """may_be_late: of a rank that the first does not wait for. Raises TarnError."""
        try:
            write_whole(self.folder / part.name, data)
        except OSError as error:
            if may_be_late and isinstance(error, FileNotFoundError) and self.out.exists():
                return  # it was the last that was missing, and the first rank has joined them at once
            raise unwritable(self.out, error) from error

    def join(self, parts: Sequence[Part], form: type[Format]) -> None:
        """Into the result, which is there whole or not at all; then they are gone. Raises TarnError."""
        aside = self.folder / JOINED
        try:
            with aside.open("wb") as file:
                form.join([self.folder / part.name for part in parts], file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.out)
            flush_folder(self.out.parent)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise unwritable(self.out, error) from error
        shutil.rmtree(self.folder, ignore_errors=True)


def of_unit(parts: Mapping[tuple[int, int, str], Part], unit: int, digest: str) -> list[Part]:
    """Those of a unit that are there without a gap."""
    found: list[Part] = []
    while (part := parts.get((unit, len(found), digest))) is not None:
        found.append(part)
        if part.is_last:
            break
    return found


def unwritable(out: Path, error: OSError) -> TarnError:
    return TarnError(
        f"{out} cannot be written ({storage.reason(error)}): mend that, or choose another --out; the same command goes "
        "on where it stopped."
    )
