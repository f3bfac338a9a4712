"""Every picture is found at its place, whoever wrote the tar."""

import io
import tarfile
from pathlib import Path

import pytest

from support.foreign_checks import contents, pictures_by_index
from support.foreign_tars import dataset, picture, samples, write_members
from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.verify import verify


def test_tars_of_the_webdataset_writers_are_indexed_beside_themselves(tmp_path: Path) -> None:
    root = dataset(tmp_path / "in")
    tars = contents(root)
    done = index(str(root), IndexConfig(workers=3))
    expected = [(key, parts["jpg"], int(parts["cls"])) for key, parts in samples(range(25)).items()]
    found = pictures_by_index(done)
    assert found["train"] == expected
    assert found["val"] == [(k, parts["jpg"], int(parts["cls"])) for k, parts in samples(range(100, 107)).items()]
    assert [shard.samples for shard in done.manifest.split("train").shards] == [10, 10, 5]
    assert [info.name for info in done.manifest.classes] == ["0", "1", "2"]
    assert done.manifest.data_root is None
    assert read_manifest(str(root)) == done.manifest
    assert {name: raw for name, raw in contents(root).items() if name.endswith(".tar")} == tars
    assert verify(str(root), done.manifest) == []


def test_shards_packed_by_tarn_are_indexed_to_the_same_records(shards: Path, tmp_path: Path) -> None:
    packed = read_manifest(str(shards))
    done = index(str(shards), IndexConfig(out=str(tmp_path / "out")))
    for name, split in packed.splits.items():
        told = [(shard.name, shard.samples, shard.sha256, shard.index_sha256) for shard in split.shards]
        assert told == [
            (shard.name, shard.samples, shard.sha256, shard.index_sha256) for shard in done.manifest.split(name).shards
        ]
    assert done.manifest.data_root == str(shards)
    refusal = pytest.raises(UsageError, match=r"holds a dataset that was packed")
    with refusal:
        index(str(shards), IndexConfig(overwrite=True))


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_and_foreign_names_do_not_move_the_places(tar_format: int, tmp_path: Path) -> None:
    long = "n01440764/" + "/".join(["folder" * 5] * (4 if tar_format == tarfile.USTAR_FORMAT else 9)) + "/"
    keys = [f"{long}{number:03d}" for number in range(5)]
    if tar_format != tarfile.USTAR_FORMAT:
        keys += ["n01440764/" + "é" * 120, "n01440764/" + "x" * 300, "./n01440764/plain", "../../n01440764/up"]
    members = [(f"{key}{end}", picture(row)) for row, key in enumerate(keys) for end in (".JPEG", ".txt")]
    write_members(tmp_path / "train" / "0.tar", members, tar_format)
    found = pictures_by_index(index(str(tmp_path), IndexConfig()))
    assert found["train"] == [(key, picture(row), 0) for row, key in enumerate(keys)]


def test_links_folders_devices_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with tarfile.open(
        tmp_path / "train" / "0.tar", "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x"}
    ) as tar:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"other{kind.decode()}.jpg")
            info.type, info.linkname, info.size = kind, "/etc/passwd" * 20, 0
            tar.addfile(info)
        for name, data in (("a.jpg", b"one"), ("a.cls", b"0\n"), ("._b.jpg", b"mac"), ("README", b"text")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert pictures_by_index(index(str(tmp_path), IndexConfig())) == {"train": [("a", b"one", 0)]}
