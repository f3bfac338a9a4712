"""Packing never touches tars that others packed, nor their index."""

from pathlib import Path

import pytest

from foreign.checks import contents
from foreign.tars import dataset
from sharding.__main__ import main
from sharding.errors import UsageError
from sharding.foreign.index import IndexConfig, index
from sharding.pack import PackConfig, pack


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["beside the tars", "elsewhere"])
@pytest.mark.parametrize("split", ["all", "train"])
def test_packing_onto_the_index_of_other_tars_is_refused_and_they_stay(
    overwrite: bool, elsewhere: bool, split: str, pictures: Path, tmp_path: Path
) -> None:
    tars = dataset(tmp_path / "tars")
    root = tmp_path / "index" if elsewhere else tars
    index(str(tars), IndexConfig(out=str(root)))
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=rf"^{root} holds the index of tars that were packed elsewhere") as caught:
        pack(pictures, str(root), PackConfig(split=split, overwrite=overwrite))
    assert "choose another output" in str(caught.value)
    assert contents(tmp_path) == before


def test_the_command_refuses_it_too(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tars = dataset(tmp_path / "tars")
    index(str(tars), IndexConfig())
    before = contents(tars)
    assert main(["pack", str(pictures), str(tars), "--overwrite"]) == 2
    assert f"error: {tars} holds the index of tars" in capsys.readouterr().err
    assert contents(tars) == before
