"""How a picture becomes the network's input in evaluation and inference: part of every exported model."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from tarn.sharding.errors import TarnError, UsageError

Triple = tuple[float, float, float]

MOST_CROP = 4096  # px: one picture of it takes 50 MB, and some networks a hundred times as much

INTERPOLATIONS = {"bilinear antialias": "bilinear", "bicubic antialias": "bicubic"}  # by name in a model


def check_interpolation(told: str, key: str) -> None:
    """Raises UsageError, naming the key, for what is no interpolation."""
    if told not in INTERPOLATIONS.values():
        raise UsageError(f"{key}={told!r} is unknown: choose one of {', '.join(INTERPOLATIONS.values())}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Shorter side to `resize` px (antialiased), centre crop of `crop` px, then (x / 255 - mean) / std.

    interpolation: bilinear or bicubic. The defaults are those of torchvision's ImageNet evaluation. Raises UsageError
    for values that make no picture, or one of more than MOST_CROP px.
    """

    resize: int = 256
    crop: int = 224
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        check_interpolation(self.interpolation, "data.interpolation")
        if not 1 <= self.crop <= self.resize:
            raise UsageError(
                f"data.eval_resize={self.resize} with a crop of {self.crop} px makes no picture: "
                "1 <= crop <= resize is needed."
            )
        if self.crop > MOST_CROP:
            raise UsageError(f"a crop of {self.crop} px is more than any network sees: choose at most {MOST_CROP:,}.")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(map(math.isfinite, (*self.mean, *self.std))):
            raise UsageError(f"data.mean={self.mean} and data.std={self.std} must each be three numbers.")
        if min(self.std) <= 0:
            raise UsageError(f"data.std={self.std} must be above 0 in every channel.")

    def at(self, crop: int | None, resize: int | None) -> "Preprocessing":
        """For pictures of another size than training's, which often score better a little larger (Touvron et al. 2019,
        arXiv 1906.06423). Where the crop alone is told, the shorter side changes with it.

        Raises UsageError for sizes that make no picture, in the words of the commands.
        """
        side = self.crop if crop is None else crop
        shorter = resize if resize is not None else round(self.resize * side / self.crop)
        if not 1 <= side <= shorter:
            raise UsageError(f"--image-size={side} and --resize={shorter} make no picture: 1 <= image-size <= resize.")
        return replace(self, crop=side, resize=shorter)

    def to_dict(self) -> dict[str, object]:
        """Plain values only, so that it loads with weights_only=True."""
        told = {"mean": list(self.mean), "std": list(self.std), "interpolation": f"{self.interpolation} antialias"}
        return asdict(self) | told

    @classmethod
    def from_dict(cls, told: object, where: str) -> "Preprocessing":
        """Raises TarnError, naming where, for anything that to_dict() does not write."""
        try:
            if not isinstance(told, Mapping):
                raise TypeError(f"a {type(told).__name__} in place of a mapping")
            return cls(
                resize=int(told["resize"]),
                crop=int(told["crop"]),
                mean=triple(told["mean"]),
                std=triple(told["std"]),
                interpolation=INTERPOLATIONS[str(told.get("interpolation", "bilinear antialias"))],
            )
        except (KeyError, TypeError, ValueError, OverflowError, UsageError) as error:
            raise TarnError(f"{where} holds no usable preprocessing ({error}): export the model again.") from error


def resize_for(crop: int) -> int:
    """px of the shorter side before a centre crop where nothing else is told: torchvision's 256 for 224, in proportion.
    Rounded down, as ShardLoader always did."""
    return crop * 256 // 224


def triple(values: object) -> Triple:
    if not isinstance(values, list | tuple):
        raise TypeError(f"{values!r} in place of three numbers")
    first, second, third = (float(value) for value in values)
    return first, second, third
