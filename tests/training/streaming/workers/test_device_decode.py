"""decode=cuda without a GPU: the same code with the device cpu, where libraries decode in place of nvJPEG."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.loaders import shard_loader
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.training.pixels.geometry import UNIFORMS, Augmentation
from tarn.training.pixels.jpeg_rows import RegionWriter, forget_orientation
from tarn.training.pixels.resize.device_resize import groups, resize_crops
from tarn.training.streaming import ShardLoader
from tarn.training.streaming.bad_samples import BadSample
from tarn.training.streaming.batch import Batch
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.device_batches import DeviceBatches
from tarn.training.streaming.workers import jpeg_libraries as libraries
from tarn.training.streaming.workers.batches import Made, jpeg_table
from tarn.training.streaming.workers.device_decode import DeviceDecoder
from tarn.training.streaming.workers.jpeg_libraries import JpegLibrary, jpeg_libraries, why_unusable

CPU = torch.device("cpu")
HERE = jpeg_libraries()
EACH = pytest.mark.parametrize("library", HERE, ids=[library.name.split()[0] for library in HERE])
KINDS = ["tall", "wide", "grey", "png", "progressive", "cmyk", "rgb", "small"]


def scene(width: int, height: int, seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(kind: str, seed: int) -> bytes:
    width, height = {"tall": (300, 500), "small": (20, 14)}.get(kind, (520, 400))
    picture, buffer = scene(width, height, seed), io.BytesIO()
    if kind == "png":
        picture.save(buffer, "PNG")
    elif kind in ("grey", "cmyk"):
        picture.convert({"grey": "L", "cmyk": "CMYK"}[kind]).save(buffer, "JPEG", quality=92)
    else:
        more = {"progressive": {"progressive": True}, "rgb": {"keep_rgb": True}, "wide": {"subsampling": 0}}
        picture.save(buffer, "JPEG", quality=92, **more.get(kind, {}))  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 pictures of all kinds, tiled where that can be done."""
    root = tmp_path_factory.mktemp("mixed")
    for split, count in (("train", 6), ("val", 1)):
        for label, kind in enumerate(KINDS):
            folder = root / "pictures" / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                ending = "png" if kind == "png" else "jpg"
                name = f"{split}_{kind}_{number}.{ending}"
                (folder / name).write_bytes(encoded(kind, 10 * label + number))
    pack(root / "pictures", str(root / "shards"), PackConfig(shard_size=1_000_000))
    return root / "shards"


def loader(shards: Path, decode: str, workers: int = 0, **more: object) -> ShardLoader:
    settings = {"global_batch": 16, "image_size": 96, "lanes": 4, "keys": True, "device": "cpu", **more}
    return shard_loader(str(shards), decode=decode, num_workers=workers, **settings)


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(10 * torch.log10(255**2 / ((one.float() - other.float()) ** 2).mean().clamp(min=1e-9)))


def batches_of(one: ShardLoader) -> list[Batch]:
    try:
        return list(one)
    finally:
        one.close()


@EACH
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_decoded_on_a_device_are_those_of_the_cpu_within_few_levels(
    mixed: Path, workers: int, library: JpegLibrary
) -> None:
    theirs = batches_of(loader(mixed, "cpu"))
    one = loader(mixed, "cuda", workers)
    one.decoder = DeviceDecoder(CPU, library)
    ours = batches_of(one)
    assert len(ours) == len(theirs) == 3
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys == other.keys
        assert torch.equal(one.labels, other.labels)
        assert one.images.shape == (16, 96, 96, 3)
        assert one.images.dtype == torch.uint8
        assert min(psnr(a, b) for a, b in zip(one.images, other.images, strict=True)) > 35


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_decoded_on_a_device_have_the_size_of_their_epoch(mixed: Path, workers: int) -> None:
    ours, theirs = (loader(mixed, decode, workers, first_size=64, ramp=(0, 2)) for decode in ("cuda", "cpu"))
    for size in (64, 64, 96):
        for one, other in zip(ours, theirs, strict=True):
            assert one.images.shape == other.images.shape == (16, size, size, 3)
            assert min(psnr(a, b) for a, b in zip(one.images, other.images, strict=True)) > 35
    ours.close()
    theirs.close()


def test_only_sound_baseline_jpegs_of_usual_colours_are_left_to_the_device() -> None:
    uniforms = np.full(UNIFORMS, 0.3)
    left = {}
    for kind in KINDS:
        out = np.zeros((224, 224, 3), np.uint8)
        left[kind] = RegionWriter().write(memoryview(encoded(kind, 1)), out, Augmentation(), uniforms)
    assert {kind for kind, row in left.items() if row is not None} == {"tall", "wide", "grey", "small"}
    whole = memoryview(encoded("wide", 1))
    out = np.zeros((224, 224, 3), np.uint8)
    assert RegionWriter().write(whole[: len(whole) // 2], out, Augmentation(), uniforms) is None
    assert RegionWriter().write(whole, out, Augmentation(crop="centre"), uniforms) is None


def test_a_jpeg_that_does_not_fit_into_its_row_becomes_pixels(mixed: Path) -> None:
    """A row of 16 x 16 px has 768 bytes, less than any of these pictures."""
    ours, theirs = (batches_of(loader(mixed, decode, image_size=16)) for decode in ("cuda", "cpu"))
    large = [key.split("_")[1] not in ("small", "grey") for batch in ours for key in batch.keys]
    assert sum(large) > 20
    same = [torch.equal(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x.images, y.images)]  # noqa: B905
    assert all(equal for equal, is_large in zip(same, large, strict=True) if is_large)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_the_device_refuses_is_decoded_by_the_cpu_to_the_same_pixels(mixed: Path, workers: int) -> None:
    theirs = batches_of(loader(mixed, "cpu"))
    one = loader(mixed, "cuda", workers)
    one.decoder = DeviceDecoder(CPU, JpegLibrary("of this test", refuse_grey))
    ours = batches_of(one)
    assert one.take_counters()["device_refused"] == 6
    for batch, other in zip(ours, theirs, strict=True):
        assert batch.keys == other.keys
        for key, a, b in zip(batch.keys, batch.images, other.images, strict=True):
            assert torch.equal(a, b) if "grey" in key else psnr(a, b) > 35


def refuse_grey(data: list[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """Frames of one component: FF C0, length, 8 bits, height, width, 1."""
    for each in data:
        raw = each.numpy().tobytes()
        if raw[raw.index(b"\xff\xc0") + 9] == 1:
            raise RuntimeError("refused")
    return HERE[0].decode(data, device)


@pytest.fixture
def cut_short(mixed: Path, tmp_path: Path) -> Path:
    """As mixed, but the head of one grey picture is zeros."""
    for path in mixed.rglob("*.*"):
        (tmp_path / path.relative_to(mixed)).parent.mkdir(parents=True, exist_ok=True)
        raw = path.read_bytes()
        if (at := raw.find(b"grey_0.jpg")) >= 0 and path.parent.name == "train":
            at = at // 512 * 512 + 512
            raw = raw[: at + 2] + bytes(200) + raw[at + 202 :]
        (tmp_path / path.relative_to(mixed)).write_bytes(raw)
    return tmp_path


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_picture_is_named_or_replaced_as_the_cpu_does(cut_short: Path, workers: int) -> None:
    with pytest.raises(TarnError, match="grey_0 is not a readable picture"):
        batches_of(loader(cut_short, "cuda", workers))
    ours, theirs = (batches_of(loader(cut_short, decode, workers, policy="replace")) for decode in ("cuda", "cpu"))
    assert [batch.keys for batch in ours] == [batch.keys for batch in theirs]
    assert not any("grey_0" in key for batch in ours for key in batch.keys)


def test_rows_made_again_take_the_key_of_what_stands_in_and_no_jpeg() -> None:
    jpegs = jpeg_table({0: (9, (0.0, 0.0, 1.0, 1.0), False), 2: (9, (0.0, 0.0, 1.0, 1.0), True)})
    bad = BadSample("train/a.tar", "c", "damaged pixels")
    whole = Made(3, ("a", "b", "c"), (), jpegs).mended([2], Made(1, ("d",), (bad,)))
    assert (whole.samples, whole.keys, whole.bad) == (3, ("a", "b", "d"), (bad,))
    assert whole.jpegs["row"].tolist() == [0]


def test_without_a_gpu_pictures_are_decoded_by_the_cpu_with_one_warning(mixed: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    one = loader(mixed, "cuda", device=None)
    (warning,) = one.take_warnings()
    assert "decode=cuda is not usable here (no CUDA device is at hand)" in warning
    theirs = batches_of(loader(mixed, "cpu"))
    for ours, other in zip(batches_of(one), theirs, strict=True):
        assert torch.equal(ours.images, other.images)
    assert one.take_warnings() == []


def fails(data: object, device: object) -> list[torch.Tensor]:
    raise RuntimeError("not compiled with nvJPEG support")


def swaps(data: list[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    return [picture.flip(0) for picture in HERE[0].decode(data, device)]


def test_a_decoder_that_fails_or_gives_wrong_colours_is_not_used(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_unusable(CPU, HERE[0].decode) == ""
    assert "nvJPEG support" in why_unusable(CPU, fails)
    assert "came out as" in why_unusable(CPU, swaps)
    monkeypatch.setattr(libraries, "LIBRARIES", [lambda: JpegLibrary("one", fails), lambda: JpegLibrary("two", swaps)])
    (warning,) = loader(mixed, "cuda").take_warnings()
    assert "one: not compiled with nvJPEG support; two: a picture of the colour" in warning


def test_torchcodec_is_preferred_and_where_it_does_not_load_torchvision_decodes_without_a_word(
    mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not any("torchcodec" in library.name for library in HERE):
        pytest.skip("torchcodec is not here, or does not load with this torch")
    assert [library.name.split()[0] for library in HERE] == ["torchcodec", "torchvision"]
    one = loader(mixed, "cuda")
    assert one.decoder is not None
    assert one.decoder.library.name.startswith("torchcodec 0.")
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)  # as where its binaries do not load
    two = loader(mixed, "cuda")
    assert two.decoder is not None
    assert two.decoder.library.name.startswith("torchvision 0.")
    assert one.take_warnings() == two.take_warnings() == []


def test_the_probe_finds_the_device_idle_and_leaves_it_so(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def decode(data: list[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
        told.append("decode")
        return HERE[0].decode(data, CPU)

    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: told.append(str(device)))
    assert why_unusable(torch.device("cuda", 1), decode) == ""
    assert told == ["cuda:1", "decode", "cuda:1"]


def exif(order: str) -> bytes:
    """An Exif segment of either byte order that says: turn by 90 degrees (6)."""
    mark, little = {"II": (b"II*\0", "little"), "MM": (b"MM\0*", "big")}[order]
    entry = [(0x0112, 2), (3, 2), (1, 4), (6, 2), (0, 2)]
    told = [(8, 4), (1, 2), *entry, (0, 4)]
    body = b"Exif\0\0" + mark + b"".join(value.to_bytes(size, little) for value, size in told)  # type: ignore[arg-type]
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body


def turned(order: str, seed: int = 0) -> bytes:
    """A picture of 300 x 200 px that says so behind a segment of another kind and a byte that fills."""
    buffer = io.BytesIO()
    scene(300, 200, seed).save(buffer, "JPEG", quality=92)
    plain, other = buffer.getvalue(), b"\xff\xed\x00\x08Photos"
    return plain[:2] + other + b"\xff" + exif(order) + plain[2:]


@EACH
@pytest.mark.parametrize("order", ["II", "MM"])
def test_an_orientation_is_forgotten_in_the_row_and_no_decoder_turns_the_picture(
    order: str, library: JpegLibrary
) -> None:
    whole = turned(order)
    with Image.open(io.BytesIO(whole)) as picture:
        assert picture.getexif()[0x0112] == 6
        pixels = np.asarray(picture.convert("RGB"))
    data = bytearray(whole)
    forget_orientation(memoryview(data))
    assert len(data) == len(whole)
    (ours,) = library.decode([torch.frombuffer(data, dtype=torch.uint8)], CPU)
    assert ours.shape == (3, 200, 300)
    assert np.abs(ours.permute(1, 2, 0).numpy().astype(int) - pixels).max() <= 3
    if "torchcodec" in library.name:
        (theirs,) = library.decode([torch.frombuffer(bytearray(whole), dtype=torch.uint8)], CPU)
        assert theirs.shape == (3, 300, 200)


def test_a_head_that_ends_anywhere_is_left_within_its_bytes() -> None:
    whole = turned("II")
    for end in range(2, whole.index(b"\xff\xda") + 4):
        data = bytearray(whole[:end])
        forget_orientation(memoryview(data))
        assert len(data) == end


@EACH
@pytest.mark.parametrize("tile", [0, 40])
def test_pictures_that_tell_an_orientation_are_cropped_as_the_cpu_does(
    tmp_path: Path, library: JpegLibrary, tile: int
) -> None:
    for split, count in (("train", 16), ("val", 1)):
        folder = tmp_path / "pictures" / split / "a"
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number}.jpg").write_bytes(turned("II" if number % 2 else "MM", number))
    pack(tmp_path / "pictures", str(tmp_path / "shards"), PackConfig(preparation=Preparation(tile=tile)))
    theirs = batches_of(loader(tmp_path / "shards", "cpu"))
    one = loader(tmp_path / "shards", "cuda")
    one.decoder = DeviceDecoder(CPU, library)
    for ours, other in zip(batches_of(one), theirs, strict=True):
        assert min(psnr(a, b) for a, b in zip(ours.images, other.images, strict=True)) > 35


def test_evaluation_and_other_crops_come_as_the_cpu_decodes_them(mixed: Path) -> None:
    for more in ({"train": False, "split": "val", "global_batch": 8}, {"augment": Augmentation(crop="centre")}):
        ours, theirs = (batches_of(loader(mixed, decode, 1, **more)) for decode in ("cuda", "cpu"))
        assert all(torch.equal(a.images, b.images) for a, b in zip(ours, theirs, strict=True))


def test_settings_that_do_not_go_with_a_device_are_refused_by_name(mixed: Path) -> None:
    with pytest.raises(UsageError, match=r"data\.decode='tpu'"):
        DataConfig(decode="tpu")
    with pytest.raises(UsageError, match="decode=cuda cannot give fidelity=exact"):
        loader(mixed, "cuda", fidelity="exact")


def test_resizing_by_products_is_pillows_within_a_level() -> None:
    sizes, boxes = [(80, 60), (31, 200), (500, 333)], [(3, 5, 70, 41), (0, 0, 31, 200), (100, 50, 320, 283)]
    pictures = [scene(width, height, width) for width, height in sizes]
    tensors = [torch.from_numpy(np.array(picture)).permute(2, 0, 1) for picture in pictures]
    flips = np.array([False, True, False])
    ours = resize_crops(tensors, np.array(boxes, np.float32), flips, 48).numpy().astype(int)
    for picture, (left, top, width, height), flip, got in zip(pictures, boxes, flips, ours, strict=True):
        crop = picture.crop((left, top, left + width, top + height))
        theirs = np.asarray(crop.resize((48, 48), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(got - (theirs[:, ::-1] if flip else theirs)).max() <= 1


def test_pictures_are_grouped_by_area_within_bounds_and_each_once() -> None:
    sizes = [(3000, 2000), (100, 100), (4000, 4000), (10, 3000), (3000, 2900)] + [(200, 200)] * 70
    made = list(groups(sizes))
    assert sorted(number for group in made for number in group) == list(range(75))
    assert all(len(group) <= 32 for group in made)
    for group in made:
        room = len(group) * max(sizes[n][0] for n in group) * max(sizes[n][1] for n in group)
        assert len(group) == 1 or room <= 2**24


GPU = torch.device("cuda", 0)


@pytest.mark.cuda
@EACH
def test_a_gpu_decodes_all_that_is_left_to_it_near_to_the_cpus_pixels(mixed: Path, library: JpegLibrary) -> None:
    """Its arithmetic is another, above all where half the chroma is made whole."""
    theirs = batches_of(loader(mixed, "cpu"))
    one = loader(mixed, "cuda", 2, device=GPU)
    one.decoder = DeviceDecoder(GPU, library)
    ours = batches_of(one)
    assert one.take_counters()["device_refused"] == 0
    for batch, other in zip(ours, theirs, strict=True):
        assert (batch.images.device, batch.labels.device) == (GPU, GPU)
        assert batch.keys == other.keys
        assert torch.equal(batch.labels.cpu(), other.labels)
        assert min(psnr(a, b) for a, b in zip(batch.images.cpu(), other.images, strict=True)) > 30


@pytest.mark.cuda
@EACH
def test_neither_the_probe_nor_a_batch_is_written_over_what_queued_kernels_are_to_read(
    mixed: Path, library: JpegLibrary
) -> None:
    one = loader(mixed, "cuda", 2, device=GPU)
    one.decoder = DeviceDecoder(GPU, library)
    batches, area = iter(one), 3 * 400 * 520
    for _ in range(len(one)):
        kept = [torch.full((3, 400, 520), number, dtype=torch.uint8, device=GPU) for number in range(64)]
        torch.cuda.synchronize(GPU)
        torch.cuda._sleep(200_000_000)  # about 0.1 s
        sums = [each.sum(dtype=torch.int64) for each in kept]
        del kept  # free by the queue, though it has not come so far
        assert why_unusable(GPU, library.decode) == ""
        torch.cuda._sleep(200_000_000)
        batch = next(batches)
        told = batch.images.sum(dtype=torch.int64)
        assert torch.stack(sums).tolist() == [number * area for number in range(64)]
        assert int(told) == int(batch.images.cpu().sum(dtype=torch.int64))
    one.close()


@pytest.mark.cuda
def test_batches_that_a_gpu_decoded_are_the_same_where_they_are_taken_one_ahead(mixed: Path) -> None:
    one, two = (loader(mixed, "cuda", 2, device=GPU) for _ in range(2))
    for ours, theirs in zip(DeviceBatches(one.batches(0), GPU, one.is_ready), two.batches(0), strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)
    one.close()
    two.close()
