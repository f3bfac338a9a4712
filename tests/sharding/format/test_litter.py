"""Nothing that lies about in a dataset's folder is called sound, and no folder without a dataset."""

import os
from pathlib import Path

import pytest

from support.datasets import picture_tree
from support.foreign_tars import dataset
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError
from tarn.sharding.format import holding
from tarn.sharding.format.lock import only_writer
from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.verify import verify


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pack(picture_tree(tmp_path / "source"), str(tmp_path / "out"), PackConfig())
    return tmp_path / "out"


@pytest.mark.parametrize("name", ["x.tar", "train/train-000009.tar", "other/x.tar"])
def test_a_tar_that_no_manifest_names_is_told(name: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(b"")
    assert main(["verify", str(root)]) == 1
    assert f"{root}/{name} is not in the manifest: move or remove it." in capsys.readouterr().err


def test_a_staging_folder_that_was_left_is_told_unless_somebody_packs_now(root: Path) -> None:
    (root / ".staging-elsewhere-5").mkdir()
    (told,) = verify(str(root), read_manifest(str(root)))
    assert ".staging-elsewhere-5 was left by a packing that was killed" in told
    with only_writer(str(root)):
        assert verify(str(root), read_manifest(str(root))) == []


def test_a_manifest_of_no_splits_is_no_sound_dataset(root: Path) -> None:
    (root / "manifest.json").write_text(Manifest(read_manifest(str(root)).classes, {}).to_json())
    told = verify(str(root), read_manifest(str(root)))
    assert "has a manifest of no splits" in told[0]
    assert len(told) == 3  # and two tars that it does not name


def test_an_empty_folder_is_no_sound_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path)]) == 1
    assert "holds no packed dataset (no manifest.json): pack one by" in capsys.readouterr().err


def test_tars_without_an_index_are_told_to_be_indexed(tmp_path: Path) -> None:
    root = dataset(tmp_path / "tars")
    with pytest.raises(TarnError, match=r"4 tars such as my-train-0000.tar: index them by .* index .*/tars\.$"):
        read_manifest(str(root))
    with pytest.raises(
        TarnError, match=r"memory://nowhere.*, or index the tars that lie there by .* index memory://now"
    ):
        read_manifest("memory://nowhere")


def test_a_manifest_that_is_replaced_before_it_is_held_is_read_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, asked = root / "manifest.json", holding.fcntl.flock, list[int]()

    def slow(descriptor: int, kind: int) -> None:
        if not asked:
            (root / "new").write_text("the new one")
            os.replace(root / "new", path)  # noqa: PTH105
        asked.append(descriptor)
        real(descriptor, kind)

    monkeypatch.setattr(holding.fcntl, "flock", slow)
    assert holding.read_held(path)[0] == b"the new one"
    assert len(asked) == 2


@pytest.mark.parametrize("name", ["my-train-0000.tar", "my-train-*.tar", "my-train-{0000..0003}.tar"])
def test_who_names_tars_is_told_of_their_folder(tmp_path: Path, name: str) -> None:
    root = dataset(tmp_path / "tars")
    with pytest.raises(TarnError, match=rf"names tars, and a dataset is a folder .* index {root}\.$"):
        read_manifest(root / name)


def test_who_names_a_tar_of_a_dataset_is_told_of_the_dataset(root: Path) -> None:
    tar = root / read_manifest(root).split("train").shards[0].name
    assert tar.exists()
    with pytest.raises(TarnError, match=rf"{tar} names tars, and a dataset is a folder of them: give {root}\.$"):
        read_manifest(tar)
