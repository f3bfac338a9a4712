"""Mistakes in tars are counted and named, all in one error."""

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.foreign_checks import refused
from support.foreign_tars import samples, write, write_members


def change(key: str, **parts: bytes | None) -> Callable[[Path], object]:
    """Writes the tar anew with other members of one sample; None takes one away."""

    def harm(root: Path) -> None:
        content = samples(range(6))
        told = {**content.get(key, {}), **parts}
        content[key] = {ending: data for ending, data in told.items() if data is not None}
        write(root / "train" / "0.tar", content)

    return harm


def members(*names: str) -> Callable[[Path], object]:
    return lambda root: write_members(root / "train" / "0.tar", [(name, b"0") for name in names])


def header(path: Path, row: int, start: int, data: bytes, mend: bool = False) -> None:
    """Changes a header, its checksum with it where it is to be mended."""
    raw = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        at = tar.getmembers()[row].offset_data - 512
    raw[at + start : at + start + len(data)] = data
    if mend:
        raw[at + 148 : at + 156] = b" " * 8
        raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + 512])
    path.write_bytes(raw)


def in_header(row: int, start: int, data: bytes, mend: bool = True) -> Callable[[Path], object]:
    return lambda root: header(root / "train" / "0.tar", row, start, data, mend)


def edit(action: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda root: (root / "train" / "0.tar").write_bytes(action((root / "train" / "0.tar").read_bytes()))


MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no picture": (
        change("s00002", jpg=None),
        r"1 sample without a picture \(jpg.*\), which has cls \(train/0.tar: s00002\): write the tars without them, or",
    ),
    "other picture": (
        change("s00002", jpg=None, mp4=b"x"),
        r"1 sample without a picture \(jpg, png, webp and the like\), which has cls, mp4 \(train/0.tar: s00002\): wri",
    ),
    "no label": (change("s00002", cls=None), r"1 sample without a label .* \(train/0.tar: s00002\)"),
    "no label in json": (
        change("s00002", cls=None, json=b'{"label": [1], "kind": "two", "sides": {}}'),
        r"1 sample without a label \(.*\), which has jpg, json:kind \(.*\): say which member is the label "
        r"by --label json:kind\.",
    ),
    "words in json": (
        change("s00002", cls=None, json=b'{"label": "two"}'),
        r"1 label that is neither a number nor a wnid \(train/0.tar: s00002 has two\): give --classes FILE",
    ),
    "label of words": (
        change("s00002", cls=b" great white shark\n"),
        r"1 label that is neither .* \(train/0.tar: s00002 has great white shark\): give --classes FILE",
    ),
    "label of bytes": (change("s00002", cls=b"\xff\xfe"), r"1 label \(cls\) that is not a number, a wnid or a name"),
    "label beyond all": (change("s00002", cls=b"9999999"), r"1 label outside 0 to 999999 .*s00002 has 9999999"),
    "label below zero": (change("s00002", cls=b"-1"), r"1 label outside 0 .*s00002 has -1"),
    "huge label": (change("s00002", cls=b"9" * 5000), r"1 label \(cls\) that is not a number"),
    "number and wnid": (
        change("n01440764_1", jpg=b"x"),
        r"8 samples labelled by number, others by wnid .*00 has 0, ",
    ),
    "empty picture": (change("s00002", jpg=b""), r"1 empty picture .*s00002"),
    "two pictures": (change("s00002", png=b"x"), r"1 sample with several pictures .*s00002"),
    "twice in a tar": (
        members("a.jpg", "a.cls", "b.jpg", "b.cls", "a.jpg", "a.cls"),
        r"1 key that comes again behind other samples \(train/0.tar: a\)",
    ),
    "not adjacent": (
        members("a.jpg", "b.jpg", "a.cls", "b.cls"),
        r"2 samples without a label.*; 2 keys that come again behind other samples \(train/0.tar: a, train/0.tar: b\)",
    ),
    "doubled": (members("a.jpg", "a.jpg", "a.cls"), r"1 sample with two members of the same ending .*: a\)"),
    "twice in a split": (
        lambda root: write(root / "train" / "1.tar", samples([7, 3])),
        r"1 pair of tars of train that holds the same samples \(train/0.tar and train/1.tar: 1, such as s00003\): "
        r"remove one tar of each pair",
    ),
    "no samples": (lambda root: write(root / "val" / "1.tar", {}), r"1 tar without a sample \(val/1.tar\)"),
    "checksum": (in_header(5, 20, b"x", mend=False), r"1 damaged tar \(train/0.tar: the header at byte \d+ does not"),
    "size": (in_header(5, 124, b"not a size  "), r"the header at byte \d+ tells no size"),
    "too large": (in_header(5, 124, b"10000000001\0"), r"has 1073741825 bytes, at most 536870912 are read"),
    "sparse": (in_header(5, 156, b"S"), r"sparse member"),
    "gzip": (edit(lambda raw: b"\x1f\x8b" + raw), r"it is compressed \(gzip\) and cannot be read at random"),
    "text": (edit(lambda raw: b"<html>" * 1000), r"the header at byte 0 does not have its checksum"),
    "empty": (edit(lambda raw: b""), r"it ends at byte 0, before the two zero blocks"),
    "joined": (edit(lambda raw: raw + raw), r"data follow its end at byte \d+ \(tars joined into one file\?\)"),
    "hole": (edit(lambda raw: raw + bytes(2**21)), r"nothing but zeros follow byte \d+"),
    "zero block": (edit(lambda raw: bytes(512) + raw), r"data follow a zero block at byte 512"),
    "name of nothing": (
        edit(lambda raw: long_name(b"x" * 200) + bytes(10240)),
        r"the member of the name at byte 1024 is missing",
    ),
    "long name of a gigabyte": (edit(lambda raw: long_name(b"x", size=2**30) + raw), r"at most 1048576 are read"),
    "broken pax": (
        edit(lambda raw: long_name(b"90 path=a\n", tarfile.XHDTYPE) + raw),
        r"pax header at byte 512 is",
    ),
    "pax size": (edit(lambda raw: long_name(b"11 size=-5\n", tarfile.XHDTYPE) + raw), r"tells the size -5"),
}


def long_name(payload: bytes, kind: bytes = tarfile.GNUTYPE_LONGNAME, size: int | None = None) -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, len(payload) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + payload + bytes(-len(payload) % 512)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_tars_is_counted_and_named_and_nothing_is_published(name: str, tmp_path: Path) -> None:
    write(tmp_path / "train" / "0.tar", samples(range(6)))
    write(tmp_path / "val" / "0.tar", samples(range(10, 12)))
    harm, told = MISTAKES[name]
    harm(tmp_path)
    assert " cannot be indexed: " in refused(tmp_path, told, workers=2)


def test_mistakes_of_all_kinds_come_in_one_error_that_names_ten_of_each(tmp_path: Path) -> None:
    write(tmp_path / "train-0.tar", {f"a{row:02d}": {"jpg": b"x"} for row in range(12)} | {"b": {"cls": b"1"}})
    (tmp_path / "train-1.tar").write_bytes(write(tmp_path / "train-1.tar", samples([1])).read_bytes()[:600])
    told = refused(tmp_path, r"12 samples without a label .* and 2 more\); 1 sample without a picture.*1 damaged tar ")
    assert len(re.findall(r"train-0.tar: a\d\d", told)) == 10
