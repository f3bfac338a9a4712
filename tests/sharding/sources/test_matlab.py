"""MATLAB files as scipy wrote one, as our own writer does in either order of bytes, and damaged ones."""

import base64
import contextlib
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.downloads import element, meta_mat
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources.devkit import read_meta
from tarn.sharding.sources.matlab import NotMatlabError, variables

# scipy.io.savemat of scipy 1.17.1, do_compression=True: three rows with the fields of the real file
SCIPY = """
TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IE1vbiBOb3YgMzAgMDc6MjA6NDMgMjAyNgAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0PAAAAYwEAAHic7ZTRSsMwFIazOesGUuadl30AL9qqdLtaQQUH
IqIwL0vZYhtsU0kytG/gA/igewQTm84sdq6YWw8cwjnt9ycnOYkNuB0AYPGhz70LKtuX8R73jnT+G6AlppBR/r0HjmT+nfv05mF2f+G7nh9NL4
XA4201ru21IAuqJpKsoBsJvMyjeYqyBYH4K7ER1BoYsiiFKEmZRBiJEY5QHieQApsnR+C7Hkurp6O4sIHMV7aaCD5U+F4DP1D4oYyx63veOBiN
ZV7oXO/QOdZ0RPyMmPNUvJ04s2X2AqmTx3NSMETbrMvW9ERM8zjLnITAUsgCw/2pePcXvjaVrznTef/M332EhvOHJn3husHpuVLHLp2mc7zCSY
Zo6vDLxyD5uR9NOpamI+Jt/H8ftJm/b9AH3LzgzN1SR9vzg5ghVrbro0ONF7F4DVgKCXQQNd7PhnvRxHc1frjGVxNVx3QdJn31CdyGV6E=
"""
FIELDS = (
    "ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height", "num_train_images"
)  # fmt: skip


def test_what_scipy_wrote_is_read() -> None:
    (name,), (rows,) = zip(*variables(base64.b64decode(SCIPY)).items(), strict=True)
    assert name == "synsets"
    assert isinstance(rows, list)
    assert [tuple(row) for row in rows] == [FIELDS] * 3
    assert [[value.tolist() if isinstance(value, np.ndarray) else value for value in row.values()] for row in rows] == [
        [[1.0], "n02119789", "kit fox, Vulpes macrotis", "small grey fox", [0.0], [], [0.0], [1300.0]],
        [[2.0], "n02100735", "English setter", "setter", [0.0], [], [0.0], [1300.0]],
        [[3.0], "n00001740", "entity", "all there is", [2.0], [1.0, 2.0], [2.0], [0.0]],
    ]


@pytest.mark.parametrize("order", ["<", ">"])
def test_synsets_with_children_are_no_classes_and_ids_keep_their_wnids(order: str) -> None:
    rows = [(1, "n2", "zwei, deux", 0), (2, "n3", "drei", 0), (3, "n1", "één", 0), (4, "n0", "all", 3)]
    classes, wnids = read_meta(meta_mat(rows, order), "meta.mat")
    assert classes == (ClassInfo("n1", "één"), ClassInfo("n2", "zwei, deux"), ClassInfo("n3", "drei"))
    assert wnids == {1: "n2", 2: "n3", 3: "n1"}


@given(data=st.data())
def test_damaged_files_are_told(data: st.DataObject) -> None:
    raw = bytearray(base64.b64decode(SCIPY))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(raw), bytes(raw[: data.draw(st.integers(0, len(raw)))])):
        with contextlib.suppress(NotMatlabError):
            variables(damaged)


def test_what_is_no_matlab_file_is_told() -> None:
    for raw in (b"", b"MATLAB 5.0", b"\x89HDF" * 100):
        with pytest.raises(NotMatlabError, match="does not begin as a MATLAB 5 file"):
            variables(raw)


@pytest.mark.parametrize("size", [math.inf, math.nan, -1.0, 1e300])
def test_sizes_that_are_none_are_told(size: float) -> None:
    parts = element(6, struct.pack("<2L", 6, 0), "<") + element(9, struct.pack("<2d", size, 1), "<")
    raw = meta_mat([])[:128] + element(14, parts + element(1, b"x", "<"), "<")
    with pytest.raises(NotMatlabError, match="is no number of elements"):
        variables(raw)
