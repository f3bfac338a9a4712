"""What a zip holds, against Python's zipfile; and whatever may be wrong with one."""

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.zips import changed, record, written
from tarn.sharding.archives.archive import Archive, DamagedMemberError
from tarn.sharding.archives.directory import Member, members
from tarn.sharding.archives.zip_member import ZipMember
from tarn.sharding.errors import TarnError

FILES = {"a/b.jpg": b"one" * 50, "a/c.jpg": b"", "ü d.JPEG": bytes(range(256)) * 300}


def listed(path: Path) -> list[Member]:
    return list(members(Archive(str(path))))


def place(path: Path, member: Member) -> ZipMember:
    return ZipMember(
        Archive(str(path)), member.name, member.offset, member.packed, member.size, member.crc32, member.method
    )


def agrees(path: Path) -> int:
    """With zipfile, in names, sizes, sums and bytes."""
    with zipfile.ZipFile(path) as other:
        found = listed(path)
        assert [(it.name, it.size, it.packed, it.crc32, it.method) for it in found] == [
            (it.filename, it.file_size, it.compress_size, it.CRC, it.compress_type) for it in other.infolist()
        ]
        for member in found:
            assert member.is_folder or place(path, member).read() == other.read(member.name)
    return len(found)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_those_that_zipfile_tells(method: int, tmp_path: Path) -> None:
    assert agrees(written(tmp_path / "x.zip", FILES, method)) == 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    files=st.dictionaries(st.text("abü/ .", min_size=1, max_size=9), st.binary(max_size=400), max_size=6),
    comment=st.binary(max_size=300),
    before=st.binary(max_size=50),
)
def test_any_names_comment_and_bytes_before_it(
    files: dict[str, bytes], comment: bytes, before: bytes, tmp_path: Path
) -> None:
    path = written(tmp_path / "x.zip", files)
    with zipfile.ZipFile(path, "a") as out:
        out.comment = comment
    path.write_bytes(before + path.read_bytes())
    try:
        with zipfile.ZipFile(path):
            pass
    except zipfile.BadZipFile:  # a comment that looks like an end record
        return
    assert agrees(path) == len(files)


def test_zip64_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = written(tmp_path / "x.zip", FILES)
    assert b"PK\6\6" in path.read_bytes()
    assert agrees(path) == 3
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert agrees(path) == 3


def test_more_members_than_sixteen_bits_count(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        for number in range(66_000):
            out.writestr(zipfile.ZipInfo(str(number)), b"")
    assert [member.name for member in listed(tmp_path / "x.zip")] == [str(number) for number in range(66_000)]


def test_a_zip_written_as_a_stream_is_read(tmp_path: Path) -> None:
    """Its local headers tell no sizes: they stand behind the bytes."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError("a pipe")

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in FILES.items():
            out.writestr(name, data)
    (tmp_path / "x.zip").write_bytes(pipe.getvalue())
    assert agrees(tmp_path / "x.zip") == 3


@pytest.mark.parametrize("left", [0, 3, 30, 200, 0.5, 0.99, -1])
def test_a_cut_zip_is_told(left: float, tmp_path: Path) -> None:
    path = written(tmp_path / "x.zip", FILES)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole)) if isinstance(left, float) else left])
    with pytest.raises(TarnError, match=r"x\.zip cannot be read as a zip: there is no directory at its end"):
        listed(path)


def test_a_zip_without_its_beginning_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "x.zip", FILES)
    path.write_bytes(path.read_bytes()[100:])
    with pytest.raises(TarnError, match="bytes are missing before"):
        listed(path)


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.zip", FILES)
    first = struct.unpack_from("<L", path.read_bytes(), record(path.read_bytes(), "a/b.jpg") + 42)[0]
    with pytest.raises(TarnError, match=r"members overlap at byte \d+, as in a zip bomb"):
        listed(changed(path, "a/c.jpg", offset=first))


def test_a_member_behind_the_end_is_refused(tmp_path: Path) -> None:
    path = changed(written(tmp_path / "x.zip", FILES), "a/b.jpg", packed=10**9, size=10**9)
    with pytest.raises(TarnError, match=r"'a/b\.jpg' should end at byte .* behind all members"):
        listed(path)


def test_a_directory_that_does_not_hold_what_it_tells_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x.zip", FILES)
    data = bytearray(path.read_bytes())
    struct.pack_into("<2H", data, len(data) - 14, 4, 4)
    path.write_bytes(data)
    with pytest.raises(TarnError, match="tells of 4 members and lists 3"):
        listed(path)
    struct.pack_into("<2H", data, len(data) - 14, 3, 4)
    path.write_bytes(data)
    with pytest.raises(TarnError, match="one part of several"):
        listed(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.data())
def test_bytes_that_are_changed_are_told_or_do_no_harm(data: st.DataObject, tmp_path: Path) -> None:
    """Nothing but the package's own error, and never other bytes than those that were put in."""
    path = written(tmp_path / "x.zip", FILES, zipfile.ZIP_DEFLATED)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    try:
        for member in listed(path):
            if member.refused is None and not member.is_folder:
                content = place(path, member).read()
                assert content in FILES.values() or member.crc32 not in map(zlib.crc32, FILES.values())
    except TarnError:
        pass


def test_no_more_is_inflated_than_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "x.zip", {"bomb.jpg": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    (member,) = listed(changed(path, "bomb.jpg", size=1000))
    with pytest.raises(DamagedMemberError, match="does not inflate to the 1,000 bytes"):
        place(path, member).read()
    (member,) = listed(changed(path, "bomb.jpg", size=2**31))
    with pytest.raises(DamagedMemberError, match="claims 2,147,483,648 bytes, at most 536,870,912 are read"):
        place(path, member).read()


def test_a_changed_byte_of_a_stored_member_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "x.zip", FILES)
    path.write_bytes(path.read_bytes().replace(b"one", b"two", 1))
    with pytest.raises(DamagedMemberError, match=r"x\.zip/a/b\.jpg: its bytes do not have the CRC-32"):
        place(path, listed(path)[0]).read()


def test_a_zip_that_is_replaced_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "x.zip", FILES)
    archive = Archive(str(path))
    list(members(archive))
    rebuild, told = archive.__reduce__()
    written(path, {**FILES, "more": b"x"})
    with pytest.raises(TarnError, match=r"x\.zip changed while it was packed"):
        rebuild(*told).read(0, 4)
