"""What a batch holds."""

import bz2
import gzip
import importlib.util
import lzma
from pathlib import Path

import numpy as np
import pytest
import torch
from webdataset.writer import TarWriter

from support.sequential_tars import Picture, evaluated, loader, members, read, tar_of
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import read_manifest
from tarn.training.pixels.geometry import Augmentation
from tarn.training.pixels.pictures import decode_eval
from tarn.training.streaming import Batch


def test_batches_have_the_pictures_of_compressed_tars_with_their_labels(tars: str, source: list[Picture]) -> None:
    labels = {key: label for key, _, label in source}
    one = loader(tars, num_workers=2)
    batches = list(one)
    one.close()
    assert len(batches) == len(one) == 7
    for batch in batches:
        assert isinstance(batch, Batch)
        assert batch.last
        assert (batch.images.dtype, batch.images.shape) == (torch.uint8, (16, 16, 16, 3))
        assert (batch.labels.dtype, batch.labels.shape) == (torch.int64, (16,))
        assert batch.labels.tolist() == [labels[key] for key in batch.keys]
    keys = [key for batch in batches for key in batch.keys]
    assert len(set(keys)) == 112
    assert [batch.keys for batch in loader(tars, keys=False)] == [()] * 7


def packed(plain: bytes) -> dict[str, bytes]:
    zstd = {}
    if importlib.util.find_spec("zstandard"):
        import zstandard

        zstd = {"x.tar.zst": zstandard.compress(plain)}
    return {
        "x.tar": plain,
        "x.tar.gz": gzip.compress(plain),
        "x.tgz": gzip.compress(plain[:5000]) + gzip.compress(plain[5000:]),
        "x.tar.bz2": bz2.compress(plain),
        "x.tar.xz": lzma.compress(plain),
        "named-amiss.tar": gzip.compress(plain),
        "BZh-plain.tar.gz": plain,
        **zstd,
    }


def test_pixels_are_those_of_the_decoder_however_the_tar_is_compressed(source: list[Picture], tmp_path: Path) -> None:
    chosen = source[:5]
    plain = tar_of(pair for key, data, label in chosen for pair in members(key, data, label))
    expected = [((key,), decode_eval(data, 18, 16).tobytes(), [label]) for key, data, label in chosen]
    for name, data in packed(plain).items():
        path = tmp_path / name
        path.write_bytes(data)
        assert evaluated(path, 5, global_batch=1) == expected, name


def test_a_tar_compressed_by_an_unknown_method_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec.compression

    monkeypatch.delitem(fsspec.compression.compr, "zstd", raising=False)
    (tmp_path / "x.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(2000))
    with pytest.raises(TarnError, match=r"x\.tar\.zst is compressed by zstd: install"):
        evaluated(tmp_path / "x.tar.zst")


def test_labels_are_told_by_cls_json_or_wnid_as_in_indexing(source: list[Picture], tmp_path: Path) -> None:
    data = source[0][1]
    path = tmp_path / "x.tar"
    path.write_bytes(
        tar_of(
            [
                ("one.JPG", data), ("one.cls", b" 2\n"), ("one.txt", b"a bird"),
                ("two.png", data), ("two.json", b'{"label": 1}'),
                ("n00000003/three.jpeg", data), ("n00000003/three.seg.png", b"no picture"),
                ("four.webp", data), ("four.json", b'{"wnid": "n00000001"}'),
                ("__meta__/five.cls", b"7"), ("README", b"hidden"), (".six.jpg", b""),
            ]
        )
    )  # fmt: skip
    wnids = ["n00000001", "n00000002", "n00000003"]
    ((keys, _, labels),) = evaluated(path, 4, classes=wnids)
    assert dict(zip(keys, labels, strict=True)) == {"one": 2, "two": 1, "n00000003/three": 2, "four": 0}
    with pytest.raises(TarnError, match=r"x\.tar: n00000003/three has the label n00000003, which needs classes"):
        evaluated(path, 4)
    with pytest.raises(TarnError, match=r"three has the label n00000003, which classes does not list"):
        evaluated(path, 4, classes=["n00000001", "n00000002", "n00000004"])


def test_classes_of_a_packed_dataset_may_be_handed_over(tars: str, shards: Path) -> None:
    classes = read_manifest(str(shards)).classes
    found = read(loader(tars, classes=classes))
    assert all(classes[label].wnid in key for keys, _, labels in found for key, label in zip(keys, labels, strict=True))
    with pytest.raises(TarnError, match="which classes numbers otherwise"):
        read(loader(tars, classes=list(reversed(classes))))


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        ([("a.jpg", b"x")], "a is among the samples without a label"),
        ([("a.cls", b"1")], "a is among the samples without a picture"),
        ([("a.jpg", b"x"), ("b.jpg", b"x"), ("a.cls", b"1"), ("b.cls", b"1")], "a is among the samples without"),
        ([("a.jpg", b"x"), ("a.png", b"x"), ("a.cls", b"1")], "a is among the samples with several pictures"),
        ([("a.jpg", b""), ("a.cls", b"1")], "a is among the empty pictures"),
        ([("a.jpg", b"x"), ("a.cls", b"dog")], "a has the label dog, which needs classes, the wnids or names in"),
        ([("a.jpg", b"x"), ("a.cls", b"1" * 2**21)], "a is among the labels .* not a number"),
        ([("a.jpg", b"x"), ("a.cls", b"-1")], "a has the label -1, outside 0 to 999999"),
        ([("a.jpg", b"x"), ("a.jpg", b"x"), ("a.cls", b"1")], r"duplicate file name"),
        ([("a.jpg", b"x"), ("a.cls", b"1"), ("b.jpg", b"x"), ("b.cls", b"1")] * 2, "a is among the keys that come"),
        ([("a.jpg", b"x"), ("a.cls", b"1")], "a is not a readable picture"),
    ],
)
def test_a_sample_that_is_not_whole_is_an_error_that_names_it(
    tmp_path: Path, contents: list[tuple[str, bytes]], told: str
) -> None:
    (tmp_path / "x.tar").write_bytes(tar_of(contents))
    with pytest.raises(TarnError, match=rf"x\.tar: .*{told}") as caught:
        evaluated(tmp_path / "x.tar", global_batch=100, image_size=2)
    assert "\n" not in str(caught.value)


def test_augmentation_and_sizes_are_the_loaders_own(tars: str) -> None:
    centred = Augmentation(crop="centre", flip=0.0)
    first, second = read(loader(tars, augment=centred, global_batch=120), epochs=2)
    pixels = [
        dict(zip(keys, np.split(np.frombuffer(images, np.uint8), 120), strict=True))
        for keys, images, _ in (first, second)
    ]
    assert all(np.array_equal(pixels[0][key], pixels[1][key]) for key in pixels[0])


def test_tars_by_the_librarys_own_writer_are_read_whatever_they_are_called(
    source: list[Picture], tmp_path: Path
) -> None:
    for name in ("a.tar", "a.tgz", "a.tar.gz"):
        with TarWriter(str(tmp_path / name), mtime=0) as writer:
            for key, data, label in source[:4]:
                writer.write({"__key__": key, "jpg": data, "json": {"label": label}, "txt": "a caption"})
        ((keys, _, labels),) = evaluated(tmp_path / name, 4)
        assert [*zip(keys, labels, strict=True)] == [(key, label) for key, _, label in source[:4]]
