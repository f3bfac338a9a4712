"""Settings of a stream as people write them: all of a run's data, and the parts that ShardLoader takes."""

from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any

from tarn.sharding.errors import UsageError
from tarn.sharding.sizes import parse_size
from tarn.sharding.storage.told import DEADLINE
from tarn.training.pixels.decode import check_decode, check_fidelity
from tarn.training.pixels.geometry import Augmentation
from tarn.training.pixels.preprocessing import Preprocessing, Triple, resize_for
from tarn.training.streaming.access import CACHE_LIMIT, Access, AccessConfig
from tarn.training.streaming.bad_samples import BadSamplesConfig

if TYPE_CHECKING:
    import torch  # the decoding processes do without

LANES, ACTIVE_SHARDS = 8, 32
PREFETCH = "1GB"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConfig:
    """What the order depends on besides the seed and the global batch. lanes, active_shards: see order.py."""

    lanes: int = LANES
    active_shards: int = ACTIVE_SHARDS

    def __post_init__(self) -> None:
        if self.lanes < 1 or self.active_shards < 1:
            raise UsageError(f"lanes={self.lanes} and active_shards={self.active_shards} must each be at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureConfig:
    """What becomes of a picture. augment: crop and flip in training. eval_resize: px of the shorter side before
    evaluation's centre crop; 8/7 of the crop where none is told. fidelity: of training crops (decode.py), exact,
    default or fast."""

    augment: Augmentation = field(default_factory=Augmentation)
    eval_resize: int | None = None
    fidelity: str = "default"

    def __post_init__(self) -> None:
        check_kind(self.augment, Augmentation, "augment")
        check_fidelity(self.fidelity, "fidelity")

    def preprocessing(self, image_size: int) -> Preprocessing:
        return Preprocessing(resize=self.eval_resize or resize_for(image_size), crop=image_size)


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
    train_split: str = "train"
    """Name of the split that is trained on."""
    val_split: str = "val"
    """Name of the split that is validated on."""
    image_size: int = 224
    """px of a training picture's side and, unless eval_crop says otherwise, of an evaluation picture's."""
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
    prefetch: str = PREFETCH
    """Memory for batches made ahead, of each rank, such as 2GB."""
    decode: str = "cpu"
    """cpu, or cuda: workers cut the crop's tiles out, a GPU decodes them; evaluation is decoded on the CPU."""
    bad_samples: BadSamplesConfig = field(default_factory=BadSamplesConfig)

    def __post_init__(self) -> None:
        check_fidelity(self.fidelity, "data.fidelity")
        check_decode(self.decode, self.fidelity, "data.decode")
        parse_size(self.prefetch, "data.prefetch")
        for name in ("image_size", "lanes", "active_shards"):
            if getattr(self, name) < 1:
                raise UsageError(f"data.{name}={getattr(self, name)} must be at least 1.")
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"data.workers={self.workers} must be at least 0, or null for all cores.")

    @property
    def preprocessing(self) -> Preprocessing:
        crop = self.eval_crop or self.image_size
        resize = resize_for(crop) if self.eval_resize is None else self.eval_resize
        return Preprocessing(resize=resize, crop=crop, mean=self.mean, std=self.std)

    def access(self, tars: str) -> Access:
        told = AccessConfig(
            storage_options=self.storage_options,
            client=self.client,
            cache=self.cache,
            cache_limit=self.cache_limit,
            deadline=self.deadline,
        )
        return told.resolve(tars)


def check_kind(value: object, kind: type, name: str) -> None:
    """Raises UsageError where a setting is no such thing."""
    if not isinstance(value, kind):
        raise UsageError(f"{name}={value!r} must be an instance of {kind.__name__}: {name}={kind.__name__}(...).")


def check_number(value: object, name: str, least: int, what: str = "") -> None:
    """Raises UsageError for what is no whole number, is too small, or does not fit into 63 bits."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) < 2**63:
        least_told = f" of at least {least}" if least > -(2**63) else " of at most 63 bits"
        raise UsageError(f"{name}={value!r} must be a whole number{least_told}{', ' if what else ''}{what}.")
