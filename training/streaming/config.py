"""Settings of a stream as people write them: all of a run's data, and the parts that ShardLoader takes."""

from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any

from tarn.sharding.errors import UsageError
from tarn.sharding.sizes import parse_size
from tarn.sharding.storage.told import DEADLINE
from tarn.training.pixels.fidelity import check_decode, check_fidelity
from tarn.training.pixels.geometry import Augmentation
from tarn.training.pixels.preprocessing import Preprocessing, Triple, resize_for
from tarn.training.streaming.access import CACHE_LIMIT, Access, AccessConfig
from tarn.training.streaming.bad_samples import BadSamplesConfig
from tarn.training.streaming.growth import Growth, growth_of
from tarn.training.streaming.part import Part
from tarn.training.streaming.subset import Holdout

if TYPE_CHECKING:
    import torch  # the decoding processes do without

LANES, ACTIVE_SHARDS, MOST_LANES = 8, 32, 2**16
PREFETCH = "1GB"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConfig:
    """What the order depends on besides the seed and the global batch. lanes, active_shards: see order.py;
    repeats: showings of a picture in a row, repeats.py; none in evaluation. epoch_samples: an epoch's length, in place
    of that of the data: then passes over the data are independent of epochs (blend.py)."""

    lanes: int = LANES
    active_shards: int = ACTIVE_SHARDS
    repeats: int = 1
    epoch_samples: int | None = None

    def __post_init__(self) -> None:
        if self.epoch_samples is not None:
            check_number(self.epoch_samples, "epoch_samples", 1)
        for name in ("lanes", "active_shards", "repeats"):
            check_number(getattr(self, name), name, 1)
        check_lanes(self.lanes, "lanes")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureConfig:
    """What becomes of a picture. augment: crop and flip in training. eval_resize: px of the shorter side before
    evaluation's centre crop; 8/7 of the crop where none is told. fidelity: of training crops (decode.py), exact,
    default or fast. interpolation: bilinear or bicubic, in evaluation too. first_size, ramp: training pictures grow
    from first_size to image_size px between two epochs (growth.py). pad_to: whole pictures (augment's crop="none") come
    as one tensor, padded with zeros to sides that are multiples of so many px; without it as a list."""

    augment: Augmentation = field(default_factory=Augmentation)
    eval_resize: int | None = None
    fidelity: str = "default"
    interpolation: str = "bilinear"
    first_size: int | None = None
    ramp: tuple[int, int] | None = None
    pad_to: int | None = None

    def __post_init__(self) -> None:
        if self.pad_to is not None:
            check_number(self.pad_to, "pad_to", 1, "px that the sides of padded pictures are multiples of")
        check_kind(self.augment, Augmentation, "augment")
        check_fidelity(self.fidelity, self.interpolation)

    def preprocessing(self, image_size: int) -> Preprocessing:
        resize = self.eval_resize or resize_for(image_size)
        return Preprocessing(resize=resize, crop=image_size, interpolation=self.interpolation)

    def growth(self, image_size: int) -> Growth | None:
        return growth_of(image_size, self.first_size, self.ramp)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryConfig:
    """How batches reach the trainer. prefetch: memory for those made ahead, such as 1GB. pin_memory: page-locked for a
    GPU; copy such batches on the stream that is current where they are dropped. decode: cpu, or cuda: batches come on
    `device` (the current CUDA device by default), decoded there."""

    prefetch: str | int = PREFETCH
    pin_memory: bool = False
    decode: str = "cpu"
    device: "torch.device | str | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """The data of a run. The texts beneath the fields are what `fit --help` tells."""

    shards: str = "build/sample"
    """Folder or URL of a packed dataset."""
    blend: tuple[Part, ...] = ()
    """Datasets that are trained on, in place of data.shards, which then is what is validated on and whose classes the
    network has: a list of parts, such as [{url: s3://a, weight: 5}, {url: b, weight: 2}] (docs/blending.md)."""
    epoch_samples: int | None = None
    """Pictures of an epoch of a blend; null: one pass of the first part, or the passes that its parts tell."""
    train_split: str = "train"
    """Name of the split that is trained on."""
    val_split: str = "val"
    """Name of the split that is validated on."""
    val_fraction: float | None = None
    """Of a dataset without val_split: the part of train_split's pictures that is held out to validate on, the same ones
    whatever the seed and the shards, as long as the pictures' bytes are the same (pack's --no-tile, --max-side and the
    like change them); drawn by picture, not by class: of a small one maybe nothing. null: none."""
    image_size: int = 224
    """px of a training picture's side and, unless eval_crop says otherwise, of an evaluation picture's."""
    first_size: int | None = None
    """px of the side in the first epochs, from which pictures grow to image_size; null: all of a size."""
    ramp: tuple[int, int] | None = None
    """Epochs, counted from 0, between which they grow linearly, such as [6, 30]; sizes between the two are rounded to
    multiples of 32 px."""
    eval_resize: int | None = None
    """px of the shorter side before evaluation's centre crop; null: 8/7 of the crop, 256 for 224."""
    eval_crop: int | None = None
    """px of evaluation's centre crop; null: image_size."""
    mean: Triple = (0.485, 0.456, 0.406)
    """Of the red, green and blue values in [0, 1]: taken off each pixel."""
    std: Triple = (0.229, 0.224, 0.225)
    """What the rest is divided by, for each channel."""
    augment: Augmentation = field(default_factory=Augmentation)
    lanes: int = LANES
    """Sequences that an epoch's samples are dealt into; ranks that divide it read shards of their own."""
    active_shards: int = ACTIVE_SHARDS
    """Shards that samples are shuffled among at a time."""
    repeats: int = 1
    """Crops of each picture in a row (repeated augmentation); an epoch keeps its length and shows fewer pictures."""
    workers: int | None = None
    """Decoding processes of each rank; null: one for each CPU core, a single one where the CPU trains too."""
    storage_options: dict[str, Any] = field(default_factory=dict)
    """Of the object store, in fsspec's words."""
    client: str = "auto"
    """Of the object store: obstore, fsspec, or auto: obstore where it is here and knows the options."""
    cache: str = "auto"
    """Folder for shards of object stores; auto: TARN_CACHE or ~/.cache/tarn; none: range requests only."""
    cache_limit: str = CACHE_LIMIT
    """Such as 500GB, or a share of what the disk has free."""
    deadline: float = DEADLINE
    """Seconds without a byte after which a store counts as gone."""
    fidelity: str = "default"
    """Of training crops: default (antialiased, within a level of Pillow), exact (Pillow's pixels) or fast."""
    interpolation: str = "bilinear"
    """bilinear or bicubic (antialiased both), of training crops and of evaluation; part of the exported model."""
    prefetch: str = PREFETCH
    """Memory for batches made ahead, of each rank, such as 2GB."""
    decode: str = "cpu"
    """cpu, or cuda: workers cut the crop's tiles out, a GPU decodes them (by TorchCodec, the extra `cuda`, where it is
    installed, else by torchvision); evaluation is decoded on the CPU."""
    bad_samples: BadSamplesConfig = field(default_factory=BadSamplesConfig)

    def __post_init__(self) -> None:
        check_fidelity(self.fidelity, self.interpolation, "data.")
        check_decode(self.decode, self.fidelity, "data.decode")
        if self.augment.crop == "none":
            raise UsageError("data.augment.crop=none gives pictures of different sizes: it is ShardLoader's alone.")
        parse_size(self.prefetch, "data.prefetch")
        for name in ("image_size", "lanes", "active_shards", "repeats"):
            if getattr(self, name) < 1:
                raise UsageError(f"data.{name}={getattr(self, name)} must be at least 1.")
        check_lanes(self.lanes, "data.lanes")
        if self.blend and (self.repeats > 1 or self.val_fraction is not None):
            key = "repeats" if self.repeats > 1 else "val_fraction"
            raise UsageError(
                f"data.{key}={getattr(self, key)} is of data.shards, and data.blend is trained on: leave one of them "
                "out; a part's own fraction holds pictures out of it."
            )
        if self.epoch_samples is not None and (self.epoch_samples < 1 or not self.blend):
            raise UsageError(
                f"data.epoch_samples={self.epoch_samples} must be at least 1, and is the length of an epoch of "
                "data.blend: name its parts."
            )
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"data.workers={self.workers} must be at least 0, or null for all cores.")
        if not all(0 <= value <= 1 for value in self.mean):
            raise UsageError(
                f"data.mean={list(self.mean)} must be between 0 and 1: divide what is of values up to 255 by 255, "
                "data.std too."
            )
        _ = self.growth, self.holdout  # raises for settings that do not fit together

    @property
    def preprocessing(self) -> Preprocessing:
        crop = self.eval_crop or self.image_size
        resize = resize_for(crop) if self.eval_resize is None else self.eval_resize
        how = self.interpolation
        return Preprocessing(resize=resize, crop=crop, mean=self.mean, std=self.std, interpolation=how)

    @property
    def holdout(self) -> Holdout | None:
        told = self.val_fraction
        return Holdout(told, self.train_split, self.val_split) if told is not None else None

    @property
    def growth(self) -> Growth | None:
        return growth_of(self.image_size, self.first_size, self.ramp, "data.")

    @property
    def access_config(self) -> AccessConfig:
        return AccessConfig(
            storage_options=self.storage_options,
            client=self.client,
            cache=self.cache,
            cache_limit=self.cache_limit,
            deadline=self.deadline,
        )

    def access(self, tars: str) -> Access:
        return self.access_config.resolve(tars)


def check_lanes(lanes: int, name: str) -> None:
    """Raises UsageError for more than any number of ranks needs: each lane takes memory in every process."""
    if lanes > MOST_LANES:
        raise UsageError(f"{name}={lanes} must be at most {MOST_LANES:,}.")


def check_kind(value: object, kind: type, name: str) -> None:
    """Raises UsageError where a setting is no such thing."""
    if not isinstance(value, kind):
        raise UsageError(f"{name}={value!r} must be an instance of {kind.__name__}: {name}={kind.__name__}(...).")


def check_number(value: object, name: str, least: int, what: str = "") -> None:
    """Raises UsageError for what is no whole number, is too small, or does not fit into 63 bits."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) < 2**63:
        least_told = f" of at least {least}" if least > -(2**63) else " of at most 63 bits"
        raise UsageError(f"{name}={value!r} must be a whole number{least_told}{', ' if what else ''}{what}.")
