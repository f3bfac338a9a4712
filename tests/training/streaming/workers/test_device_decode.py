"""decode=cuda without a GPU: the same code with the device cpu, where torchvision decodes in place of nvJPEG."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.loaders import shard_loader
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.training.pixels.geometry import UNIFORMS, Augmentation
from tarn.training.pixels.jpeg_rows import RegionWriter
from tarn.training.pixels.resize.device_resize import groups, resize_crops
from tarn.training.streaming import ShardLoader
from tarn.training.streaming.bad_samples import BadSample
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.iteration import Batch
from tarn.training.streaming.workers import device_decode
from tarn.training.streaming.workers.batches import Made, jpeg_table
from tarn.training.streaming.workers.device_decode import DeviceDecoder, decode_jpegs, why_unusable

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


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_decoded_on_a_device_are_those_of_the_cpu_within_few_levels(mixed: Path, workers: int) -> None:
    theirs = batches_of(loader(mixed, "cpu"))
    ours = batches_of(loader(mixed, "cuda", workers))
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
    one.decoder = DeviceDecoder(torch.device("cpu"), refuse_grey)
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
    return decode_jpegs(data, device)


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


def test_a_decoder_that_fails_or_gives_wrong_colours_is_not_used(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(data: object, device: object) -> list[torch.Tensor]:
        raise RuntimeError("not compiled with nvJPEG support")

    def swaps(data: list[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
        return [picture.flip(0) for picture in decode_jpegs(data, device)]

    cpu = torch.device("cpu")
    assert why_unusable(cpu) == ""
    assert "nvJPEG support" in why_unusable(cpu, fails)
    assert "came out as" in why_unusable(cpu, swaps)
    monkeypatch.setattr(device_decode.why_unusable, "__defaults__", (fails,))
    assert "nvJPEG support" in loader(mixed, "cuda").take_warnings()[0]


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
