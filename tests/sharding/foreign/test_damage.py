"""The walk over a tar: cut, changed and thrown-together bytes give an error or what tarfile finds."""

import contextlib
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.foreign_tars import picture
from tarn.sharding.archives.headers import DamageError
from tarn.sharding.archives.tar import Member, Stream, walk
from tarn.sharding.foreign.reading import Reading
from tarn.sharding.foreign.samples import collect


def tar_of(tar_format: int) -> tuple[bytes, int]:
    """A tar with long names, and the byte at which its end mark ends."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as tar:
        for number in range(4):
            for ending, data in (("jpg", picture(number)), ("cls", b"1")):
                info = tarfile.TarInfo(f"{'k' * (150 if number % 2 else 5)}{number}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        end = tar.offset + 1024
    return buffer.getvalue(), end


TARS = {"gnu": tar_of(tarfile.GNU_FORMAT), "pax": tar_of(tarfile.PAX_FORMAT)}


def cut_into(raw: bytes, piece: int) -> Iterator[bytes]:
    return (raw[at : at + piece] for at in range(0, len(raw), piece))


@pytest.mark.parametrize("name", TARS)
def test_a_tar_cut_at_any_block_is_an_error(name: str) -> None:
    raw, end = TARS[name]
    for cut in range(0, end, 512):
        with pytest.raises(DamageError, match=rf"ends at byte {cut}, before the two zero blocks"):
            collect(walk(Stream(cut_into(raw[:cut], 700)), Reading().wants), Reading())


@given(st.sampled_from(sorted(TARS)), st.floats(0, 1, exclude_max=True), st.integers(1, 5000))
@example("gnu", 0.999999, 512)
def test_a_tar_cut_at_any_byte_is_an_error(name: str, place: float, piece: int) -> None:
    raw, end = TARS[name]
    cut = int(place * end)
    with pytest.raises(DamageError, match=rf"ends at byte {cut},"):
        collect(walk(Stream(cut_into(raw[:cut], piece)), Reading().wants), Reading())


@given(st.sampled_from(sorted(TARS)), st.integers(1, 5000), st.integers(0, 9000))
def test_pieces_of_any_size_and_any_padding_give_what_tarfile_finds(name: str, piece: int, padding: int) -> None:
    raw, end = TARS[name]
    raw = raw[:end] + bytes(padding)
    stream = Stream(cut_into(raw, piece))
    found = [(each.name, each.offset, each.size, each.crc32) for each in walk(stream, Reading().wants)]
    with tarfile.open(fileobj=io.BytesIO(raw)) as expected:
        members = [(each.name, each.offset_data, each.size) for each in expected]
    assert found == [(*each, zlib.crc32(raw[each[1] : each[1] + each[2]])) for each in members]
    assert (stream.position, stream.digest.hexdigest()) == (len(raw), hashlib.sha256(raw).hexdigest())


@given(st.sampled_from(sorted(TARS)), st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_of_a_header_is_an_error(name: str, place: int, change: int) -> None:
    raw = bytearray(TARS[name][0])
    with tarfile.open(fileobj=io.BytesIO(raw)) as whole:
        headers = [each.offset_data - 512 for each in whole]
    place, row = place % 510, place // 510 % len(headers)
    raw[headers[row] + place + 2 * (place >= 154)] ^= change  # but for what ends the checksum's own digits
    with pytest.raises(DamageError):
        collect(walk(Stream([bytes(raw)]), Reading().wants), Reading())


@given(st.binary(max_size=3000), st.integers(0, 10**6))
def test_bytes_thrown_into_a_tar_give_samples_or_an_error(noise: bytes, place: int) -> None:
    raw = TARS["gnu"][0]
    at = place % len(raw)
    with contextlib.suppress(DamageError):
        collect(walk(Stream([raw[:at] + noise + raw[at + len(noise) :]]), Reading().wants), Reading())


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c/a", ".h"]), st.sampled_from(["jpg", "cls", "x.json", ""]))))
def test_every_key_is_a_sample_or_a_problem(names: list[tuple[str, str]]) -> None:
    given_members = [Member(f"{key}.{end}" if end else key, 512, 1, 0, b"1") for key, end in names]
    found = collect(given_members, Reading())
    keys = {key for key, ending in names if ending and key != ".h"}
    assert set(found.keys) | {problem.key for problem in found.problems} == keys
    assert len(found.keys) == len(set(found.keys)) == len(found.records)
