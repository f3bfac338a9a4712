"""Packing never touches tars that others packed, nor their index."""

from pathlib import Path

import pytest

from support.foreign_checks import contents
from support.foreign_tars import dataset
from tarn.sharding.__main__ import main
from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.packing.pack import PackConfig, pack


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


def test_packing_replaces_no_tar_of_a_folder_without_manifest_unless_told_to(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    theirs = tmp_path / "val" / "val-000000.tar"
    theirs.write_bytes(b"somebody's")
    (tmp_path / "val" / "other.tar").write_bytes(b"in nobody's way")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=rf"^{tmp_path} has val/val-000000\.tar and no manifest\.json.*--overwrite"):
        pack(pictures, str(tmp_path), PackConfig())
    assert contents(tmp_path) == before
    pack(pictures, str(tmp_path), PackConfig(overwrite=True))
    assert theirs.read_bytes() != b"somebody's"
    assert (tmp_path / "val" / "other.tar").read_bytes() == b"in nobody's way"


def test_the_command_refuses_it_too(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tars = dataset(tmp_path / "tars")
    index(str(tars), IndexConfig())
    before = contents(tars)
    assert main(["pack", str(pictures), str(tars), "--overwrite"]) == 2
    assert f"error: {tars} holds the index of tars" in capsys.readouterr().err
    assert contents(tars) == before
