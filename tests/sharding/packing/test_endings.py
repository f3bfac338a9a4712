"""Pictures of every ending that is read: packed, indexed where their tars lie, and what is passed over is told."""

from pathlib import Path

import pytest

from support.jpegs import by_pillow
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import parse_index, read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.sources.find import read_source
from tarn.sharding.sources.tree import EXTENSIONS

FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), ("RGB", "JPEG", "jpg")),
    **dict.fromkeys((".tif", ".tiff"), ("RGB", "TIFF", "tif")),
    **{".png": ("RGB", "PNG", "png"), ".webp": ("RGB", "WEBP", "webp"), ".gif": ("P", "GIF", "gif")},
    **{".bmp": ("RGB", "BMP", "bmp"), ".avif": ("RGB", "AVIF", "avif"), ".jp2": ("RGB", "JPEG2000", "jp2")},
    **{".j2k": ("RGB", "JPEG2000", "jp2"), ".ppm": ("RGB", "PPM", "ppm"), ".pgm": ("L", "PPM", "pgm")},
    **{".pbm": ("1", "PPM", "pbm"), ".pnm": ("RGB", "PPM", "pnm")},
}


def tree(root: Path) -> Path:
    """A picture of every ending, told by its file's name alone to be of its class."""
    folder = root / "train" / "cat"
    folder.mkdir(parents=True)
    for number, (ending, (mode, kind, _)) in enumerate(FORMATS.items()):
        (folder / f"picture{number}{ending}").write_bytes(by_pillow(40 + number, 30, mode, kind))
    return root


def test_every_ending_is_packed_called_by_its_content_and_indexed_again_where_its_tar_lies(tmp_path: Path) -> None:
    assert set(FORMATS) == set(EXTENSIONS)
    manifest, _ = pack(tree(tmp_path / "tree"), str(tmp_path / "out"), PackConfig(split="train"))
    (shard,) = manifest.split("train").shards
    tars = tmp_path / "tars"
    (tars / "train").mkdir(parents=True)
    (tmp_path / "out" / shard.name).rename(tars / shard.name)
    told = (tars / shard.name).read_bytes()
    for number, (_, _, ending) in enumerate(FORMATS.values()):
        assert f"picture{number}.{ending}\0".encode() in told
    assert main(["index", str(tars)]) == 0
    (indexed,) = read_manifest(str(tars)).split("train").shards
    ours = parse_index((tmp_path / "out" / shard.index_name).read_bytes(), "")
    assert parse_index((tars / indexed.index_name).read_bytes(), "").tolist() == ours.tolist()


def test_what_is_no_picture_by_its_ending_is_counted_and_named(tmp_path: Path) -> None:
    root = tree(tmp_path / "tree")
    for name in ("a.heic", "b.HEIC", "c.jxl", "d.dib"):
        (root / "train" / "cat" / name).write_bytes(b"picture")
    found = read_source(root, "train")
    assert len(found.splits["train"]) == len(FORMATS)
    assert found.passed.counts == {"files ending in .heic": 2, "files ending in .jxl": 1, "files ending in .dib": 1}
    assert "a.heic" in str(found.passed)


def test_a_class_of_such_files_alone_says_what_it_holds(tmp_path: Path) -> None:
    root = tree(tmp_path / "tree")
    (root / "train" / "dog").mkdir()
    (root / "train" / "dog" / "a.heic").write_bytes(b"picture")
    with pytest.raises(TarnError) as caught:
        read_source(root, "train")
    assert f"1 class without pictures ({root}/train/dog, which holds 1 file ending in .heic (" in str(caught.value)
    assert "what is read ends in .jpg, .jpeg, .png, " in str(caught.value)
