"""The commands of sharding on stores that let nobody in who was not told how."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from support.web import served
from tarn.sharding.__main__ import main
from tarn.sharding.storage.told import TOLD, Store

KEY = ("--storage-option", "client_kwargs.headers.X-Key=open sesame")


@pytest.fixture
def web(shards: Path) -> Iterator[str]:
    with served(shards, key="open sesame") as web:
        yield web.url


@pytest.mark.parametrize("command", ["verify", "stats"])
def test_a_command_reaches_the_store_by_the_options_told(
    web: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, web, "--deadline", "4"]) == 1
    assert "403" in capsys.readouterr().err
    assert main([command, web, *KEY]) == 0
    assert "train" in capsys.readouterr().out
    assert TOLD.store == Store()


def test_tars_are_indexed_where_they_lie_by_the_options_told(
    web: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = f"{web}/val/val-{{000000..000000}}.tar"
    words = ["index", pattern, "--out", str(tmp_path / "out"), "--split", "val=*.tar"]
    assert main([*words, "--deadline", "4"]) in (1, 2)
    assert main([*words, *KEY]) == 0, capsys.readouterr().err
    assert (tmp_path / "out" / "manifest.json").is_file()


class Guarded(MemoryFileSystem):
    """In this process's memory, for those who say the word."""

    protocol = "guarded"
    cachable = False

    def __init__(self, word: str = "", **more: Any) -> None:
        if word != "friend":
            raise PermissionError("speak, friend")
        super().__init__(**more)


def test_pictures_are_packed_into_a_store_by_the_options_told(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fsspec.register_implementation("guarded", Guarded, clobber=True)
    words = ["pack", str(pictures), "guarded://packed", "--split=val", "--workers=1"]
    assert main(words) == 1
    assert "speak, friend" in capsys.readouterr().err
    assert main([*words, "--storage-option", "{word: friend}"]) == 0, capsys.readouterr().err
    assert main(["verify", "guarded://packed", "--storage-option", "word=friend"]) == 0
