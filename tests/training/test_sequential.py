"""SequentialLoader on tars as others write and serve them: compressed, without ranges, cut, hostile."""

import bz2
import gzip
import importlib.util
import io
import itertools
import json
import lzma
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from servers.nginx import Nginx
from servers.proxy import Proxy
from servers.s3 import S3Server
from webdataset.writer import ShardWriter, TarWriter

from sharding.errors import TarnError, UsageError
from sharding.manifest import read_manifest
from training.streaming import Batch, SequentialLoader
from training.streaming.geometry import Augmentation
from training.streaming.pictures import decode_eval

Picture = tuple[str, bytes, int]  # key, bytes, label
Seen = list[tuple[tuple[str, ...], bytes, list[int]]]

SMALL: dict[str, Any] = {"global_batch": 16, "image_size": 16, "keys": True, "num_workers": 0, "shuffle_buffer": 20}
TARS = 6
CUT = r"cut|checksum|zero block|ends at byte"


@pytest.fixture(scope="module")
def source(shards: Path) -> list[Picture]:
    """The 120 training pictures of the packed dataset."""
    found = []
    for info in read_manifest(str(shards)).split("train").shards:
        with tarfile.open(shards / info.name) as tar:
            data = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        names = [name for name in data if not name.endswith(".cls")]
        found += [(name.split(".")[0], data[name], int(data[name.split(".")[0] + ".cls"])) for name in names]
    assert len(found) == 120
    return found


@pytest.fixture(scope="module")
def tars(source: list[Picture], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The pictures in six tars of 20, compressed by the webdataset library."""
    return written(tmp_path_factory.mktemp("tars"), source, 20)


def written(folder: Path, pictures: Sequence[Picture], each: int, ending: str = ".tar.gz") -> str:
    """The pattern of tars that hold so many pictures each."""
    folder.mkdir(exist_ok=True)
    compress = ending != ".tar"
    with ShardWriter(f"{folder}/t-%02d{ending}", maxcount=each, verbose=0, mtime=0, compress=compress) as writer:
        for key, data, label in pictures:
            writer.write({"__key__": key, "jpg": data, "cls": label})
    return f"{folder}/t-{{00..{-(-len(pictures) // each) - 1:02d}}}{ending}"


def tar_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def loader(urls: str | list[str], samples: int = 120, **more: Any) -> SequentialLoader:
    return SequentialLoader(urls, samples, **{**SMALL, **more})


def seen(batches: Iterable[Batch]) -> Seen:
    return [(batch.keys, batch.images.numpy().tobytes(), batch.labels.tolist()) for batch in batches]


def read(one: SequentialLoader, epochs: int = 1) -> Seen:
    try:
        return [each for _ in range(epochs) for each in seen(one)]
    finally:
        one.close()


def keys_of(found: Seen) -> list[str]:
    return [key for keys, _, _ in found for key in keys]


def evaluated(path: Path, samples: int = 1, **more: Any) -> Seen:
    return read(loader([str(path)], samples, train=False, **more))


# What a batch holds


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


def members(key: str, data: bytes, label: int) -> list[tuple[str, bytes]]:
    return [(f"{key}.cls", str(label).encode()), (f"{key}.jpg", data)]


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
        ([("a.jpg", b"x"), ("a.cls", b"dog")], "a is among the labels .* not a number"),
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


# Order


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_same_settings_give_the_same_batches_in_every_epoch(tars: str, workers: int) -> None:
    first = read(loader(tars, num_workers=workers, seed=5), epochs=2)
    assert read(loader(tars, num_workers=workers, seed=5), epochs=2) == first
    assert first[:7] != first[7:]
    again = loader(tars, num_workers=workers, seed=5)
    again.set_epoch(1)
    assert read(again) == first[7:]
    assert read(loader(tars, num_workers=workers, seed=6)) != first[:7]


def test_one_worker_process_gives_what_the_loader_gives_without_any(tars: str) -> None:
    assert read(loader(tars, num_workers=1), epochs=2) == read(loader(tars, num_workers=0), epochs=2)


def test_random_numbers_of_others_are_neither_used_nor_moved(tars: str) -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    found = read(loader(tars))
    moved = (random.random(), np.random.random(), float(torch.rand(1)))
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    assert moved == (random.random(), np.random.random(), float(torch.rand(1)))
    random.seed(2)
    assert read(loader(tars)) == found


def test_tars_and_samples_are_shuffled_and_each_is_cropped_anew_in_every_epoch(
    tars: str, source: list[Picture]
) -> None:
    first, second = read(loader(tars, global_batch=120, shuffle_buffer=40), epochs=2)
    assert set(first[0]) == set(second[0]) == {key for key, _, _ in source}
    place = {key: number for number, (key, _, _) in enumerate(source)}
    order = [place[key] for key in first[0]]
    assert order != sorted(order)
    assert [number // 20 for number in order] != sorted(number // 20 for number in order)
    unshuffled = [place[key] for key in keys_of(read(loader(tars, global_batch=120, shuffle_buffer=0)))]
    assert all(unshuffled[at : at + 20] == sorted(unshuffled[at : at + 20]) for at in range(0, 120, 20))
    pixels = [
        dict(zip(keys, np.split(np.frombuffer(images, np.uint8), 120), strict=True))
        for keys, images, _ in (first, second)
    ]
    same = [key for key in first[0] if np.array_equal(pixels[0][key], pixels[1][key])]
    assert len(same) < 10


def test_streams_that_end_early_leave_the_turn_and_every_sample_comes_once(
    source: list[Picture], tmp_path: Path
) -> None:
    """Seven tars for three streams, the last one shorter."""
    urls = written(tmp_path / "set", source, 18)
    keys = keys_of(read(loader(urls, num_workers=3, global_batch=12)))
    assert sorted(keys) == sorted(key for key, _, _ in source)


# Ranks


@pytest.mark.parametrize(("ranks", "workers"), [(2, 0), (2, 2), (3, 0), (6, 1)])
def test_all_ranks_get_equally_many_batches_that_make_up_global_ones(tars: str, ranks: int, workers: int) -> None:
    shares = [read(loader(tars, rank=rank, world_size=ranks, num_workers=workers)) for rank in range(ranks)]
    assert [len(share) for share in shares] == [7] * ranks
    assert [sum(len(share[step][0]) for share in shares) for step in range(7)] == [16] * 7
    if ranks == 2:
        keys = [key for share in shares for key in keys_of(share)]
        assert len(set(keys)) == len(keys) == 112


def test_a_rank_whose_tars_end_begins_again_in_another_order_and_says_so_once(
    source: list[Picture], tmp_path: Path
) -> None:
    urls = written(tmp_path / "set", source, 40)  # three tars: one rank has two
    ones = [loader(urls, rank=rank, world_size=2, shuffle_buffer=0) for rank in (0, 1)]
    found = [read(one, epochs=2) for one in ones]
    assert [len(each) for each in found] == [14, 14]
    (short,) = [place for place, one in enumerate(ones) if one.take_counters()]
    assert ones[short].take_counters() == {"repeated": 2 * 16}
    (warning,) = ones[short].take_warnings()
    assert f"rank {short}'s tars hold 40 samples, fewer than its 56" in warning
    assert ones[short].take_warnings() == ones[1 - short].take_warnings() == []
    times = Counter(Counter(keys_of(found[short][:7])).values())
    assert times == {1: 24, 2: 16}


def test_several_tars_that_are_read_again_come_in_another_order(source: list[Picture], tmp_path: Path) -> None:
    urls = written(tmp_path / "set", source[:40], 5)
    keys = keys_of(read(loader(urls, samples=160, shuffle_buffer=0)))
    laps = [keys[at : at + 40] for at in range(0, 160, 40)]
    assert len({tuple(lap) for lap in laps}) == 4
    assert all(sorted(lap) == sorted(key for key, _, _ in source[:40]) for lap in laps)


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("each", [20, 50], ids=["even tars", "uneven tars"])
def test_evaluation_gives_every_sample_once_on_any_ranks(
    source: list[Picture], tmp_path: Path, ranks: int, workers: int, each: int
) -> None:
    urls = written(tmp_path / "set", source, each)
    ones = [
        loader(urls, train=False, rank=r, world_size=ranks, num_workers=workers, global_batch=24) for r in range(ranks)
    ]
    batches = [list(one) for one in ones]
    for one, given in zip(ones, batches, strict=True):
        one.close()
        assert len(one) == sum(batch.last for batch in given) == 5
        assert [batch.step for batch in given if batch.last] == list(range(5))
        assert all(len(batch.labels) == len(batch.images) == len(batch.keys) <= 24 for batch in given)
    keys = [key for given in batches for batch in given for key in batch.keys]
    assert sorted(keys) == sorted(key for key, _, _ in source)


def test_a_rank_without_samples_left_gives_empty_batches(source: list[Picture], tmp_path: Path) -> None:
    urls = written(tmp_path / "set", source, 100)
    sizes = [
        [len(keys) for keys, _, _ in read(loader(urls, train=False, rank=r, world_size=2, global_batch=30))]
        for r in (0, 1)
    ]
    assert sizes == [[15] * 6 + [10], [15, 5, 0, 0]]
    batch = list(loader(urls, train=False, rank=1, world_size=2, global_batch=30))[-1]
    assert (batch.images.shape, batch.labels.shape) == ((0, 16, 16, 3), (0,))


@pytest.mark.parametrize("told", [96, 112, 119, 121, 150])
def test_evaluation_that_finds_another_number_of_samples_is_an_error(tars: str, told: int) -> None:
    with pytest.raises(TarnError, match=rf"hold 120 samples .*samples={told} was told"):
        read(loader(tars, samples=told, train=False))


def test_a_rank_that_alone_finds_too_many_samples_says_so(tars: str) -> None:
    with pytest.raises(TarnError, match=r"rank 1's tars alone hold 60 samples .*samples=50 was told"):
        read(loader(tars, samples=50, train=False, rank=1, world_size=2))


# Resuming


@pytest.mark.parametrize(("workers", "ranks", "each"), [(0, 1, 20), (3, 1, 18), (2, 2, 25), (0, 2, 50)])
def test_resuming_anywhere_gives_the_batches_that_would_have_come(
    source: list[Picture], tmp_path: Path, workers: int, ranks: int, each: int
) -> None:
    """Also where streams end at different times, and where a rank's tars are read again."""
    urls = written(tmp_path / "set", source, each)
    settings: dict[str, Any] = {"num_workers": workers, "rank": ranks - 1, "world_size": ranks}
    whole = read(loader(urls, **settings), epochs=2)
    for stop in (1, 3, 6, 7, 9):
        one = loader(urls, **settings)
        given = seen(itertools.islice(forever(one), stop))
        state = json.loads(json.dumps(one.state_dict()))
        one.close()
        other = loader(urls, **settings)
        other.load_state_dict(state)
        assert (other.epoch, given) == (stop // 7 - (stop == 7), whole[:stop])
        rest: Seen = []
        while other.epoch < 2:
            rest += seen(other)
        other.close()
        assert given + rest == whole


def forever(one: SequentialLoader) -> Iterable[Batch]:
    while True:
        yield from one


def test_a_loader_goes_on_itself_where_its_iteration_was_left(tars: str) -> None:
    whole = read(loader(tars, num_workers=2))
    one = loader(tars, num_workers=2)
    found = seen(itertools.islice(one, 2)) + seen(itertools.islice(one, 3)) + seen(one)
    one.close()
    assert found == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_resumes_too(source: list[Picture], tmp_path: Path, workers: int) -> None:
    urls = written(tmp_path / "set", source, 50)
    whole = read(loader(urls, train=False, num_workers=workers))
    for stop in (1, 7):
        one = loader(urls, train=False, num_workers=workers)
        given = seen(itertools.islice(one, stop))
        other = loader(urls, train=False, num_workers=workers)
        other.load_state_dict(one.state_dict())
        assert given + read(other) == whole
        one.close()


def test_a_place_in_another_stream_is_refused_by_name(tars: str) -> None:
    state = loader(tars).state_dict()
    assert {name: state[name] for name in ("epoch", "samples", "ranks", "workers")} == {
        "epoch": 0, "samples": 0, "ranks": 1, "workers": 1,
    }  # fmt: skip
    others: list[tuple[str, dict[str, Any]]] = [
        ("seed", {"seed": 1}),
        ("global_batch", {"global_batch": 8}),
        ("ranks", {"rank": 0, "world_size": 2}),
        ("workers", {"num_workers": 2}),
        ("shuffle_buffer", {"shuffle_buffer": 7}),
        ("train", {"train": False}),
    ]
    for name, settings in others:
        one = loader(tars, **settings)
        with pytest.raises(TarnError, match=rf"has {name}=.*, this run has "):
            one.load_state_dict(state)
        one.close()
    with pytest.raises(TarnError, match="has urls="):
        loader(tars.replace("{00..05}", "{01..05}"), 100).load_state_dict(state)


# Settings


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"rank": 0, "world_size": 7}, r"6 tars cannot be dealt to 7 ranks"),
        ({"rank": 1}, "world_size=None"),
        ({"num_workers": -1}, "num_workers=-1"),
        ({"global_batch": 1, "rank": 0, "world_size": 2}, "global_batch=1 must be at least the number of ranks, 2"),
        ({"global_batch": 0}, "global_batch=0"),
        ({"global_batch": 121}, "samples=120 does not fill one batch of global_batch=121"),
        ({"samples": 0}, "samples=0"),
        ({"shuffle_buffer": -1}, "shuffle_buffer=-1"),
        ({"deadline": 0}, "deadline=0"),
        ({"image_size": 32, "eval_resize": 16}, "eval_resize=16"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(tars: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        loader(tars, **settings)


def test_more_workers_than_a_rank_has_tars_are_not_started(tars: str) -> None:
    one = loader(tars, num_workers=5, rank=0, world_size=2)
    assert (one.workers, one.state_dict()["workers"]) == (3, 3)
    one.close()


def test_tars_are_named_by_a_pattern_or_a_list_and_each_once(tars: str) -> None:
    listed = [tars.replace("{00..05}", f"{number:02d}") for number in range(6)]
    assert read(loader(listed)) == read(loader(tars))
    with pytest.raises(UsageError, match=r"t-03\.tar\.gz is named twice"):
        loader([*listed, listed[3]])
    with pytest.raises(UsageError, match="names no tar"):
        loader([])


# Hostile input


@pytest.mark.parametrize(
    "form",
    [
        lambda canary: f"pipe:touch {canary}",
        lambda canary: f"PIPE:touch {canary} #.tar",
        lambda canary: f" pipe:touch {canary}",
        lambda canary: f"{{pipe:touch {canary},pipe:true}}",
        lambda canary: f"simplecache::pipe:touch {canary}",
        lambda canary: f"pipe://touch {canary}",
        lambda canary: f"ssh://-oProxyCommand=touch {canary}/x.tar",
        lambda canary: "file:x.tar",
        lambda canary: "data:application/x-tar;base64,AAAA",
    ],
)
def test_urls_that_run_commands_are_refused(tmp_path: Path, form: Callable[[Path], str]) -> None:
    canary = tmp_path / "canary"
    for urls in (form(canary), ["x.tar", form(canary)]):
        with pytest.raises(UsageError, match="is refused"):
            loader(urls)
    assert not canary.exists()


class Touch:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_members_that_run_code_when_decoded_are_never_decoded(source: list[Picture], tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    payload = pickle.dumps(Touch(canary))
    endings = ("pyd", "pickle", "pkl", "pth", "npy", "pt", "json.pyd", "cls.pkl")
    key, data, label = source[0]
    path = tmp_path / "x.tar"
    path.write_bytes(
        tar_of([*members(key, data, label), *((f"{key}.{ending}", payload) for ending in endings), ("b.pyd", payload)])
    )
    assert keys_of(evaluated(path, global_batch=1)) == [key]
    assert not canary.exists()
    pickle.loads(payload)
    assert canary.exists()


def test_names_that_lead_outside_are_keys_and_links_are_passed_over(source: list[Picture], tmp_path: Path) -> None:
    _, data, label = source[0]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members("../../out", data, label):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("link.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.tar").write_bytes(file.getvalue())
    assert keys_of(evaluated(tmp_path / "in" / "x.tar", global_batch=1)) == ["../../out"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "x.tar"]


# Damage


@pytest.fixture(scope="module")
def small(source: list[Picture]) -> bytes:
    """A plain tar of three pictures."""
    return tar_of(pair for key, data, label in source[:3] for pair in members(key, data, label))


def places(whole: bytes) -> list[int]:
    """Where a cut hurts most: around every member's header, data and end, and in the end marker."""
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        found = {0, 1, 511, 512}
        for member in tar:
            for at in (member.offset, member.offset_data, member.offset_data + member.size):
                found |= {at, at + 1, at + 300, -(-at // 512) * 512}
        end = -(-(member.offset_data + member.size) // 512) * 512
    return sorted(at for at in found | {end, end + 1, end + 512, end + 1023} if at < end + 1024)


def test_a_cut_tar_is_an_error_that_names_it_wherever_it_is_cut(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(small)
    assert len(keys_of(evaluated(path, 3, global_batch=3))) == 3
    cuts = places(small)
    assert len(cuts) > 50
    for at in cuts:
        for name, data in (("x.tar", small[:at]), ("x.tar.gz", gzip.compress(small[:at], 1))):
            path = tmp_path / name
            path.write_bytes(data)
            with pytest.raises(TarnError, match=CUT) as caught:
                evaluated(path, 3, global_batch=3)
            assert str(path) in str(caught.value), at


def test_cut_compressed_bytes_are_an_error_that_names_the_tar(small: bytes, tmp_path: Path) -> None:
    for method, whole in (("gzip", gzip.compress(small)), ("bzip2", bz2.compress(small)), ("xz", lzma.compress(small))):
        for at in (20, len(whole) // 3, len(whole) - 12, len(whole) - 1):
            path = tmp_path / f"{method}.tar"
            path.write_bytes(whole[:at])
            with pytest.raises(TarnError, match=rf"{method}\.tar is cut or damaged \({method}: "):
                evaluated(path, 3, global_batch=3)


def test_training_never_passes_over_a_cut_tar(tars: str, tmp_path: Path) -> None:
    for path in Path(tars).parent.iterdir():
        shutil.copy(path, tmp_path)
    victim = tmp_path / "t-04.tar.gz"
    plain = gzip.decompress(victim.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        middle = [member for member in tar if member.name.endswith(".jpg")][10]
    victim.write_bytes(gzip.compress(plain[: middle.offset]))  # between the label and the picture
    for workers in (0, 3):
        started = time.monotonic()
        with pytest.raises(TarnError, match=r"t-04\.tar\.gz: it ends at byte"):
            read(loader(f"{tmp_path}/t-{{00..05}}.tar.gz", num_workers=workers))
        assert time.monotonic() - started < 60


@pytest.mark.parametrize("block", [0, 1, 4, 5])
def test_a_broken_header_is_an_error_where_the_library_alone_would_take_it_for_the_end(
    small: bytes, tmp_path: Path, block: int
) -> None:
    with tarfile.open(fileobj=io.BytesIO(small)) as tar:
        at = tar.getmembers()[block].offset
    path = tmp_path / "x.tar"
    for damaged in (small[: at + 3] + b"\xff" + small[at + 4 :], small[:at] + bytes(512) + small[at + 512 :]):
        path.write_bytes(damaged)
        with pytest.raises(TarnError, match=rf"x\.tar: .*{CUT}|x\.tar: data follow"):
            evaluated(path, 3, global_batch=3)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>" * 100, bytes(10240), os.urandom(3000)])
def test_what_is_no_tar_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    told = "hold 0 samples" if content == bytes(10240) else r"x\.tar\.gz: "
    with pytest.raises(TarnError, match=told):
        evaluated(path)
    with pytest.raises(TarnError, match=told.replace("hold 0", "hold no")):
        read(loader([str(path)]))


def test_a_missing_tar_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(TarnError, match=r"x\.tar cannot be read \(it is not there\)"):
        evaluated(tmp_path / "x.tar")


# Processes


def test_a_killed_worker_is_told_at_once(tars: str) -> None:
    one = loader(tars, num_workers=2)
    batches = iter(one)
    next(batches)
    one.team.children[0].process.kill()  # type: ignore[union-attr]
    started = time.monotonic()
    with pytest.raises(TarnError, match=r"reading process 0 was ended by SIGKILL \(out of memory\?\)"):
        list(batches)
    assert time.monotonic() - started < 30
    one.close()


def test_two_iterations_at_a_time_are_refused(tars: str) -> None:
    for workers in (0, 1):
        one = loader(tars, num_workers=workers)
        first = iter(one)
        next(first)
        next(iter(one))
        with pytest.raises(TarnError, match="iterated twice"):
            list(first)
        one.close()


def test_batches_that_are_kept_are_not_written_over(tars: str) -> None:
    one = loader(tars, num_workers=2)
    kept = list(one)
    copies = seen(kept)
    list(one)
    assert seen(kept) == copies
    one.close()


USER = """
import sys
from training.streaming import SequentialLoader
loader = SequentialLoader(sys.argv[1], samples=120, global_batch=16, image_size=16, num_workers=2)
while True:
    for batch in loader:
        print(*[child.process.pid for child in loader.team.children], flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_a_script_that_is_ended(tars: str, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", USER, tars], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    workers = [int(word) for word in process.stdout.readline().split()]
    assert len(workers) == 2
    process.send_signal(number)
    process.wait(30)
    process.stdout.close()
    deadline = time.monotonic() + 10
    while any(is_running(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(is_running(worker) for worker in workers)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# Servers


@pytest.fixture
def served(nginx: Nginx, tars: str, tmp_path: Path) -> str:
    """The pattern below the web server's root."""
    shutil.copytree(Path(tars).parent, nginx.folder / tmp_path.name)
    return f"{tmp_path.name}/{Path(tars).name}"


@pytest.mark.parametrize("workers", [0, 2])
def test_web_servers_with_and_without_ranges_serve_the_same_batches(
    nginx: Nginx, served: str, tars: str, workers: int
) -> None:
    expected = read(loader(tars, num_workers=workers))
    assert read(loader(nginx.plain_url + served, num_workers=workers)) == expected
    assert read(loader(nginx.url + served, num_workers=workers)) == expected


@pytest.mark.parametrize("plain", ["", "/plain"], ids=["ranges", "no ranges"])
@pytest.mark.parametrize("kind", ["rst", "fin", "stall", "refuse", "status"])
def test_a_connection_that_breaks_is_made_again_and_no_byte_is_lost(
    nginx_proxy: Proxy, served: str, tars: str, kind: Any, plain: str
) -> None:
    expected = read(loader(tars))
    at = None if kind in ("refuse", "status") else 20_000
    nginx_proxy.fault(kind, times=3, at=at, match="t-0")
    assert read(loader(f"{nginx_proxy.endpoint}{plain}/{served}", deadline=8.0)) == expected
    log = nginx_proxy.log
    assert [request.outcome for request in log].count(kind) == 3
    if at:
        resumed = [request for request in log if request.range]
        assert resumed or kind != "stall"  # a broken connection may take the bytes before along
        assert all((request.status == 200) == bool(plain) for request in resumed if request.outcome == "pass")


@pytest.mark.parametrize(
    ("code", "told"), [(503, "gave up after 8 attempts: 503"), (403, "gave up after 1 attempt: 403")]
)
def test_a_server_that_never_answers_rightly_is_one_error_that_names_the_tar(
    nginx_proxy: Proxy, served: str, code: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharding.remote.persistence.Patience.pause", lambda self, attempt: 0.01)
    nginx_proxy.fault("status", times=None, code=code, match="t-03")
    with pytest.raises(TarnError, match=rf"t-03\.tar\.gz cannot be read \({told}"):
        read(loader(f"{nginx_proxy.endpoint}/plain/{served}"))


def test_a_tar_that_is_not_on_the_server_is_told_by_a_worker_in_one_sentence(nginx: Nginx, served: str) -> None:
    urls = nginx.plain_url + served.replace("{00..05}", "{04..07}")
    with pytest.raises(
        TarnError, match=r"t-0[67]\.tar\.gz cannot be read \(gave up after 1 attempt: it is not there\)"
    ):
        read(loader(urls, num_workers=2))


def test_a_tar_that_is_replaced_while_it_is_read_is_an_error(
    nginx: Nginx, nginx_proxy: Proxy, source: list[Picture], tmp_path: Path
) -> None:
    path = nginx.folder / f"{tmp_path.name}.tar"
    path.write_bytes(tar_of(pair for picture in source for pair in members(*picture)))
    assert path.stat().st_size > 400_000
    nginx_proxy.fault("stall", times=1, at=300_000)
    one = loader([f"{nginx_proxy.endpoint}/{path.name}"], deadline=8.0, global_batch=1, shuffle_buffer=0)
    batches = iter(one)
    next(batches)
    path.write_bytes(tar_of(pair for picture in reversed(source) for pair in members(*picture)))
    os.utime(path, (1, 1))
    with pytest.raises(TarnError, match=r"\.tar changed while it was read: start again"):
        list(batches)


def test_compressed_tars_stream_from_an_object_store(
    bucket: str, s3: S3Server, s3_env: dict[str, str], tars: str
) -> None:
    s3.put_tree(f"{bucket}/set", Path(tars).parent)
    assert read(loader(f"{bucket}/set/{Path(tars).name}", num_workers=1)) == read(loader(tars, num_workers=1))


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
