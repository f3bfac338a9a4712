"""Commands whose reader has had enough."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.checkout import ROOT
from support.foreign_tars import dataset
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.pipe import ends_with_its_reader

CLOSED = 141  # 128 + SIGPIPE, as a shell tells of unix's own tools


def end_of(*words: str, reads: int = 0) -> tuple[int, bytes]:
    """Exit code and stderr of a command whose stdout is closed after so many bytes."""
    command = [sys.executable, "-m", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(reads)
        process.stdout.close()
        return process.wait(60), process.stderr.read()


@pytest.mark.parametrize("command", ["stats", "verify", "index"])
def test_a_command_whose_reader_is_gone_ends_quietly(command: str, tmp_path: Path) -> None:
    root = dataset(tmp_path / "tars")
    index(str(root), IndexConfig())
    assert end_of("tarn.sharding", command, str(root)) == (CLOSED, b"")


@pytest.mark.parametrize("package", ["sharding", "training"])
def test_help_whose_reader_is_gone_ends_quietly(package: str) -> None:
    code, told = end_of(f"tarn.{package}", "--help")
    assert (code, told) in ((CLOSED, b""), (0, b""))


def test_an_error_is_told_although_nobody_reads_the_rest(tmp_path: Path) -> None:
    code, told = end_of("tarn.sharding", "stats", str(tmp_path))
    assert code == 1
    assert told.startswith(b"error: ")


def test_another_pipe_that_is_broken_is_no_reader_that_is_gone() -> None:
    @ends_with_its_reader
    def main() -> int:
        raise BrokenPipeError("of a process")

    with pytest.raises(BrokenPipeError, match="of a process"):
        main()
