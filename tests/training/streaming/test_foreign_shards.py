"""Streaming tars that the webdataset library packed, indexed beside themselves or elsewhere, wherever they lie."""

import io
import shutil
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from servers.places import Places, indexed
from servers.s3 import S3Server
from support.loaders import shard_loader
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import read_manifest
from tarn.training.pixels.geometry import Augmentation
from tarn.training.pixels.pictures import decode_eval
from tarn.training.streaming import ShardLoader

with warnings.catch_warnings(action="ignore"):
    import webdataset

SIDE, RESIZE = 16, 18
KINDS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "jpeg": "JPEG"}

Samples = list[tuple[str, int, bytes]]  # key, label, pixels
Batches = list[tuple[tuple[str, ...], list[int], bytes]]


def sample(number: int) -> dict[str, Any]:
    """A picture of noise, of a kind and a size of its own; keys with and without folders."""
    random, buffer = np.random.default_rng(number), io.BytesIO()
    pixels = random.integers(0, 256, (20 + number % 17, 20 + number % 23, 3), np.uint8)
    ending = list(KINDS)[number % 4]
    Image.fromarray(pixels).save(buffer, KINDS[ending])
    key = f"{'' if number % 5 else 'a/folder/'}s{number:04d}"
    return {"__key__": key, ending: buffer.getvalue(), "cls": b"%d" % (number % 6), "txt": b"x" * number}


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three train tars and two val tars by webdataset's own writer, not indexed. To be read only."""
    root = tmp_path_factory.mktemp("webdataset")
    for split, numbers in (("train", range(50)), ("val", range(100, 131))):
        with webdataset.ShardWriter(f"{root}/web-{split}-%06d.tar", maxcount=20, verbose=0, encoder=False) as writer:
            for number in numbers:
                writer.write(sample(number))
    return root


def evaluated(raw: bytes) -> NDArray[np.uint8]:
    return decode_eval(raw, RESIZE, SIDE)


def by_library(tars: Path, split: str, decode: Callable[[bytes], NDArray[np.uint8]] = evaluated) -> Samples:
    """What the webdataset library reads, in the order of the tars."""
    urls = sorted(str(path) for path in tars.glob(f"web-{split}-*.tar"))
    with warnings.catch_warnings(action="ignore"):
        found = list(webdataset.WebDataset(urls, shardshuffle=False))
    return [
        (each["__key__"], int(each["cls"]), decode(next(each[end] for end in KINDS if end in each)).tobytes())
        for each in found
    ]


def loader(url: str, **more: Any) -> ShardLoader:
    settings = {"global_batch": 12, "image_size": SIDE, "eval_resize": RESIZE, "lanes": 2, "active_shards": 4}
    return shard_loader(url, **{**settings, "num_workers": 1, "keys": True, **more})


def batches(one: ShardLoader, epochs: int = 1) -> Batches:
    """All of the epochs to come; closes the loader."""
    try:
        return [(each.keys, each.labels.tolist(), each.images.numpy().tobytes()) for _ in range(epochs) for each in one]
    finally:
        one.close()


def singly(given: Batches) -> Samples:
    size = SIDE * SIDE * 3
    return [
        (key, label, pixels[row * size : (row + 1) * size])
        for keys, labels, pixels in given
        for row, (key, label) in enumerate(zip(keys, labels, strict=True))
    ]


@pytest.fixture
def places(request: pytest.FixtureRequest, tars: Path, tmp_path: Path) -> Places:
    return Places(request, tars, tmp_path)


@pytest.fixture(scope="module")
def beside(tars: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tars indexed in place on a disk: what every other place is compared with."""
    return indexed(str(shutil.copytree(tars, tmp_path_factory.mktemp("beside") / "tars")), None)


@pytest.fixture(scope="module")
def expected(beside: str) -> Batches:
    """Two epochs of 50 samples in batches of 12."""
    found = batches(loader(beside), epochs=2)
    assert [len(keys) for keys, _, _ in found] == [12] * 8
    return found


LOCAL = [Places.beside, Places.elsewhere]
REMOTE = [Places.of_web_server, Places.of_store, Places.beside_in_store]
CLIENTS = [("obstore", "cache"), ("obstore", "none"), ("fsspec", "none")]
every_place = pytest.mark.parametrize(
    ("place", "client", "cache"),
    [
        *((place, "auto", "none") for place in LOCAL),
        pytest.param(Places.elsewhere_in_store, "auto", "none", marks=pytest.mark.servers),
        *(pytest.param(place, *how, marks=pytest.mark.servers) for place in REMOTE for how in CLIENTS),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
remote = [pytest.param(place, marks=pytest.mark.servers) for place in REMOTE]  # they ask for their server by themselves
remote_places = pytest.mark.parametrize("place", remote, ids=lambda place: place.__name__)
caches = pytest.mark.parametrize("cache", ["cache", "none"])


def folder_of(cache: str, tmp_path: Path) -> str:
    return cache if cache == "none" else str(tmp_path / cache)


@every_place
def test_evaluation_gives_each_sample_of_the_tars_once_as_the_library_reads_it(
    places: Places, place: Callable[[Places], str], client: str, cache: str, tars: Path, tmp_path: Path
) -> None:
    one = loader(place(places), split="val", train=False, client=client, cache=folder_of(cache, tmp_path))
    given = singly(batches(one))
    assert len({key for key, _, _ in given}) == len(given) == 31
    assert given == by_library(tars, "val")


@every_place
def test_training_batches_are_those_of_the_tars_indexed_in_place_on_a_disk(
    places: Places, place: Callable[[Places], str], client: str, cache: str, expected: Batches, tmp_path: Path
) -> None:
    one = loader(place(places), client=client, cache=folder_of(cache, tmp_path))
    assert batches(one, epochs=2) == expected


def test_a_training_epoch_gives_the_samples_of_the_tars_in_another_order(beside: str, tars: Path) -> None:
    plain = Augmentation(crop="centre", flip=0.0)
    given = singly(batches(loader(beside, augment=plain, drop_last=False)))
    told = by_library(tars, "train", lambda raw: decode_eval(raw, SIDE, SIDE))
    assert given != told
    assert sorted(given) == sorted(told)


@pytest.mark.servers
def test_two_ranks_share_every_sample_of_a_store_and_every_training_batch(
    places: Places, expected: Batches, tars: Path, tmp_path: Path
) -> None:
    url = places.of_store()
    shares: dict[bool, list[Batches]] = {
        train: [
            batches(loader(url, train=train, rank=rank, world_size=2, cache=str(tmp_path / "cache")))
            for rank in range(2)
        ]
        for train in (False, True)
    }
    assert sorted(singly(shares[False][0] + shares[False][1])) == sorted(by_library(tars, "train"))
    for step, (ours, theirs) in enumerate(zip(*shares[True], strict=True)):
        assert sorted(singly([ours, theirs])) == sorted(singly([expected[step]]))


@pytest.mark.servers
@caches
def test_a_run_goes_on_where_it_stood_after_its_tars_have_moved_to_a_store(
    cache: str, places: Places, beside: str, expected: Batches, tmp_path: Path
) -> None:
    one = loader(beside)
    for step, _ in enumerate(one):
        if step == 1:
            break
    state = one.state_dict()
    one.close()
    other = loader(places.of_store(), cache=folder_of(cache, tmp_path))
    other.load_state_dict(state)
    assert batches(other, epochs=2) == expected[2:]


def test_the_options_of_a_store_reach_tars_whose_index_lies_on_a_disk(
    places: Places, s3: S3Server, expected: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, told = places.of_store(), s3.env
    for name in told:
        monkeypatch.delenv(name)
    options = {
        "key": told["AWS_ACCESS_KEY_ID"],
        "secret": told["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": told["AWS_ENDPOINT_URL"],
        "client_kwargs": {"region_name": told["AWS_REGION"]},
    }
    assert batches(loader(url, storage_options=options, cache="none"), epochs=2) == expected


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_any_format_give_keys_labels_and_pixels(tar_format: int, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "web-train-0.tar", "w", format=tar_format) as tar:
        for number in range(12):
            told = sample(number)
            for ending in sorted(told.keys() - {"__key__"}):
                info = tarfile.TarInfo(f"./{told['__key__']}.{ending.upper()}")
                info.size, info.mtime = len(told[ending]), 0.5  # type: ignore[assignment]  # pax has fractions
                tar.addfile(info, io.BytesIO(told[ending]))
    given = singly(batches(loader(indexed(str(tmp_path), None), train=False)))
    assert [key for key, _, _ in given] == [f"./{sample(number)['__key__']}" for number in range(12)]
    assert given == by_library(tmp_path, "train")


@caches
@remote_places
def test_a_tar_that_changed_after_it_was_indexed_is_named_where_it_lies(
    place: Callable[[Places], str], cache: str, places: Places, tmp_path: Path
) -> None:
    url, name = place(places), "web-train-000001.tar"
    changed = bytearray((places.tars / name).read_bytes())
    with tarfile.open(places.tars / name) as tar:
        for member in tar:
            if member.name.rpartition(".")[2] in KINDS:
                changed[member.offset_data + member.size // 2] ^= 1
    places.replace(url, name, bytes(changed))
    one = loader(url, cache=folder_of(cache, tmp_path), deadline=4.0)
    with pytest.raises(TarnError, match=r"after 3 attempts") as caught:
        batches(one, epochs=3)
    assert f"{read_manifest(url).shards_root(url)}/{name}" in str(caught.value)


@pytest.mark.parametrize("place", [Places.beside, *remote], ids=lambda place: place.__name__)
def test_a_missing_tar_is_named_where_it_lay(place: Callable[[Places], str], places: Places) -> None:
    url, name = place(places), "web-train-000002.tar"
    places.remove(url, name)
    with pytest.raises(TarnError, match=rf"{read_manifest(url).shards_root(url)}/{name} cannot be read"):
        batches(loader(url, cache="none", deadline=4.0), epochs=2)
