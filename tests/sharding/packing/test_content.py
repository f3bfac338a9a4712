"""Pictures that are something else than their name says, and those in CMYK, are told when they are packed."""

import io
from pathlib import Path

import pytest
from PIL import Image

from support.datasets import picture_tree
from tarn.sharding.__main__ import main
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.content import WORDS, components, oddity
from tarn.sharding.packing.inspection import ending
from tarn.sharding.packing.pack import PackConfig, pack


def encoded(mode: str, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, (40, 30)).save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize(("mode", "count"), [("L", 1), ("RGB", 3), ("CMYK", 4)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08" + bytes(60_000)}])
def test_components_are_those_that_the_picture_has(mode: str, count: int, options: dict[str, object]) -> None:
    assert components(encoded(mode, "JPEG", **options)) == count


def test_a_cut_head_tells_no_components() -> None:
    data = encoded("CMYK", "JPEG")
    frame = data.index(b"\xff\xc0")
    assert {components(data[:size]) for size in range(2, frame + 10)} == {0}
    assert components(b"\xff\xd8\xff\xff\xff\x01" + data[2:]) == 4
    assert components(b"\xff\xd8" + data[frame + 19 :]) == 0


def test_names_and_contents_are_compared() -> None:
    jpeg, png, gif = encoded("RGB", "JPEG"), encoded("RGB", "PNG"), encoded("P", "GIF")
    assert oddity(png, ".JPEG") == "PNG named .JPEG"
    assert oddity(jpeg, ".png") == "JPEG named .png"
    assert oddity(gif, ".jpg") == "GIF named .jpg"
    assert oddity(encoded("CMYK", "JPEG"), ".jpg") == "CMYK"
    assert [oddity(jpeg, ".jpg"), oddity(jpeg, ".JFIF"), oddity(png, ".PNG"), oddity(gif, ".gif")] == [None] * 4


def test_pack_tells_them_in_one_line_and_the_manifest_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = picture_tree(tmp_path / "in")
    home = tree / "train" / "class1"
    (home / "one.JPEG").write_bytes(encoded("RGB", "PNG"))
    for number in range(2):
        (home / f"cmyk{number}.jpg").write_bytes(encoded("CMYK", "JPEG"))
    words = ["pack", str(tree), str(tmp_path / "out"), "--workers=2", "--shard-size=3KB"]
    assert main(words) == 0
    assert "told by content: 2 CMYK, 1 PNG named .JPEG\n" in capsys.readouterr().out
    packed = {name: split.packed for name, split in read_manifest(tmp_path / "out").splits.items()}
    assert packed["train"]["content"] == {"CMYK": 2, "PNG named .JPEG": 1}
    assert "content" not in packed["val"]
    assert main(words) == 0
    assert "up to date" in capsys.readouterr().out


def test_what_a_picture_is_does_not_change_what_is_packed(tmp_path: Path) -> None:
    tree = picture_tree(tmp_path / "in")
    pack(tree, tmp_path / "one", PackConfig())
    (tree / "train" / "class0" / "train0.jpg").rename(tree / "train" / "class0" / "train0.png")
    pack(tree, tmp_path / "two", PackConfig())
    for name in ("train/train-000000.tar", "val/val-000000.tar"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_pictures_without_a_first_word_of_their_own_are_called_by_their_content_too() -> None:
    avif = encoded("RGB", "AVIF")
    told = {
        "ppm": encoded("RGB", "PPM"),
        "pgm": encoded("L", "PPM"),
        "pbm": encoded("1", "PPM"),
        "tif": encoded("RGB", "TIFF", big_tiff=True),
        "avif": avif[:8] + b"mif1" + avif[12:],
    }
    for kind, data in told.items():
        assert ending(data, ".jpg") == kind
        assert ending(data, f".{kind}") == kind
        assert oddity(data, ".jpg") == f"{WORDS[kind]} named .jpg"
        assert oddity(data, f".{kind}") is None
    for name in (".pnm", ".pgm"):
        assert ending(told["ppm"], name) == name[1:]
        assert oddity(told["ppm"], name) is None
    heic = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(40)
    assert ending(heic, ".jpg") == "jpg"
    assert ending(b"Perhaps", ".jpg") == "jpg"


def test_such_a_picture_is_taken_out_of_its_shard_under_the_name_that_it_has_there(tmp_path: Path) -> None:
    tree = picture_tree(tmp_path / "in")
    (tree / "train" / "class1" / "one.jpg").write_bytes(encoded("RGB", "PPM"))
    (tree / "train" / "class1" / "two.pnm").write_bytes(encoded("L", "PPM"))
    pack(tree, tmp_path / "out", PackConfig())
    assert main(["extract", str(tmp_path / "out"), str(tmp_path / "back")]) == 0
    names = {path.name for path in (tmp_path / "back" / "train" / "class1").iterdir()}
    assert {"one.ppm", "two.pnm"} <= names
    assert not any(name.endswith(".bin") for name in names)
