"""Headers of tars that are jumped over, against Python's tarfile; and whatever may be wrong with one."""

import io
import tarfile
from pathlib import Path

import pytest

from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.jumps import TarMember, tar_members
from tarn.sharding.errors import TarnError

LONG = f"{'folder/' * 30}{'ü' * 60}.jpg"
FILES = {"a.jpg": b"one" * 4000, "b.jpg": b"", LONG: b"two" * 5, "c.jpg": bytes(100_000)}


def tarred(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as out:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
    return raw.getvalue()


def listed(path: Path, most: int = 2**30) -> list[TarMember]:
    return list(tar_members(Archive(str(path)), None, most))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_members_and_their_bytes_are_those_that_tarfile_tells(form: int, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tarred(FILES, form))
    found = listed(tmp_path / "x.tar")
    assert {member.path: member.read() for member in found} == FILES
    assert [member.size for member in found] == [len(data) for data in FILES.values()]


def test_a_tar_in_a_tar_is_read_in_place(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tarred({"one.tar": tarred(FILES), "two.tar": tarred({"d.jpg": b"three"})}))
    inner = {
        member.path: member.read()
        for outer in listed(tmp_path / "x.tar")
        for member in tar_members(outer.archive, outer, 2**30)
    }
    assert inner == {f"one.tar/{name}": data for name, data in FILES.items()} | {"two.tar/d.jpg": b"three"}


@pytest.mark.parametrize("left", [100, 512, 5_000, 12_800, 60_000, -11_000])
def test_a_cut_tar_is_told_wherever_it_ends(left: int, tmp_path: Path) -> None:
    raw = tarred(FILES)[:left]
    (tmp_path / "x.tar").write_bytes(raw)
    with pytest.raises(TarnError, match=r"x\.tar cannot be read as a tar: .*cut short"):
        listed(tmp_path / "x.tar")
    (tmp_path / "y.tar").write_bytes(tarred({"one.tar": raw}))
    (outer,) = listed(tmp_path / "y.tar")
    with pytest.raises(TarnError, match=r"y\.tar/one\.tar cannot be read as a tar: .*cut short"):
        list(tar_members(outer.archive, outer, 2**30))


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a.jpg")
    member.size = 2**31
    (tmp_path / "x.tar").write_bytes(member.tobuf() + bytes(2048))
    with pytest.raises(TarnError, match=r"a\.jpg has 2147483648 bytes, at most 536870912"):
        listed(tmp_path / "x.tar", 2**29)
    with pytest.raises(TarnError, match="cut short"):
        listed(tmp_path / "x.tar", 2**32)


def test_what_is_no_tar_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"\xff\xd8" * 1000)
    with pytest.raises(TarnError, match="the header at byte 0 does not have its checksum"):
        listed(tmp_path / "x.tar")


def test_links_and_devices_are_told_and_not_handed_over(tmp_path: Path) -> None:
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
    with tarfile.open(tmp_path / "x.tar", "w") as out:
        for number, kind in enumerate(kinds):
            member = tarfile.TarInfo(f"{number}.jpg")
            member.type, member.linkname = kind, "/etc/passwd"
            out.addfile(member)
    told: list[str] = []
    assert list(tar_members(Archive(str(tmp_path / "x.tar")), None, 2**30, told.append)) == []
    assert told == [f"{number}.jpg" for number in range(5)]


def test_what_members_hold_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.tar").write_bytes(tarred({f"{number}.jpg": bytes(10**6) for number in range(8)}))
    archive, asked = Archive(str(tmp_path / "x.tar")), []
    read = archive.read
    monkeypatch.setattr(archive, "read", lambda offset, size: asked.append(size) or read(offset, size))
    assert len(list(tar_members(archive, None, 2**30))) == 8
    assert sum(asked) < 60_000


@pytest.mark.parametrize("path", ["/dev/zero", "/dev"])
def test_what_is_no_regular_file_is_no_archive(path: str) -> None:
    with pytest.raises(TarnError, match=rf"^{path} cannot be read \(it is no regular file\)"):
        Archive(path).read(0, 1)
