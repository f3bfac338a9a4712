"""Tars written by our own few lines, against those of the webdataset library and the readers of tars."""

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from tarn.sharding.format.archive import closing, entry

KEYS = st.text("abcXYZ019_-/", min_size=1, max_size=90).filter(lambda key: key.strip("/") == key and "//" not in key)
PICTURES = st.lists(
    st.tuples(KEYS, st.binary(max_size=2000), st.integers(0, 10**6)), max_size=25, unique_by=lambda it: it[0]
)


def ours(pictures: list[tuple[str, bytes, int]]) -> bytes:
    tar = b"".join(
        piece
        for key, data, label in pictures
        for piece in (*entry(f"{key}.cls", str(label).encode()), *entry(f"{key}.jpg", data))
    )
    return tar + closing(len(tar))


@given(PICTURES)
def test_the_webdataset_library_writes_the_same_bytes(pictures: list[tuple[str, bytes, int]]) -> None:
    from webdataset.writer import TarWriter

    out = io.BytesIO()
    with TarWriter(out, user="tarn", group="tarn", mode=0o444, mtime=0, encoder=False) as tar:
        for key, data, label in pictures:
            tar.write({"__key__": key, "cls": str(label).encode(), "jpg": data})
    assert ours(pictures) == out.getvalue()


@given(PICTURES)
def test_python_reads_every_file_back(pictures: list[tuple[str, bytes, int]]) -> None:
    with tarfile.open(fileobj=io.BytesIO(ours(pictures)), mode="r:") as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert found == {
        name: content
        for key, data, label in pictures
        for name, content in ((f"{key}.cls", str(label).encode()), (f"{key}.jpg", data))
    }
