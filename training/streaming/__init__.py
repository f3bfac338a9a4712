"""Samples of tar shards as batches: pure order, exact resume, from local disks and object stores."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tarn.training.pixels.geometry import Augmentation
    from tarn.training.streaming.access import AccessConfig
    from tarn.training.streaming.bad_samples import BadSamplesConfig
    from tarn.training.streaming.batch import Batch
    from tarn.training.streaming.config import DeliveryConfig, OrderConfig, PictureConfig
    from tarn.training.streaming.fields.classes import Label, MultiLabel, SoftLabel
    from tarn.training.streaming.fields.numbers import Array, Number
    from tarn.training.streaming.fields.places import Boxes, BoxLabels, Mask, Picture
    from tarn.training.streaming.fields.row import Row
    from tarn.training.streaming.fields.texts import Json, Raw, Text
    from tarn.training.streaming.loader import ShardLoader
    from tarn.training.streaming.part import Part
    from tarn.training.streaming.sequential.loader import SequentialLoader

__all__ = [
    "AccessConfig",
    "Array",
    "Augmentation",
    "BadSamplesConfig",
    "Batch",
    "BoxLabels",
    "Boxes",
    "DeliveryConfig",
    "Json",
    "Label",
    "Mask",
    "MultiLabel",
    "Number",
    "OrderConfig",
    "Part",
    "Picture",
    "PictureConfig",
    "Raw",
    "Row",
    "SequentialLoader",
    "ShardLoader",
    "SoftLabel",
    "Text",
]
CLASSES, NUMBERS, PLACES, TEXTS = (
    f"tarn.training.streaming.fields.{name}" for name in ("classes", "numbers", "places", "texts")
)
WHERE = {
    "Augmentation": "tarn.training.pixels.geometry",
    "AccessConfig": "tarn.training.streaming.access",
    "BadSamplesConfig": "tarn.training.streaming.bad_samples",
    "DeliveryConfig": "tarn.training.streaming.config",
    "OrderConfig": "tarn.training.streaming.config",
    "Part": "tarn.training.streaming.part",
    "PictureConfig": "tarn.training.streaming.config",
    "Batch": "tarn.training.streaming.iteration",
    "ShardLoader": "tarn.training.streaming.loader",
    **dict.fromkeys(("Label", "MultiLabel", "SoftLabel"), CLASSES),
    **dict.fromkeys(("Array", "Number"), NUMBERS),
    **dict.fromkeys(("BoxLabels", "Boxes", "Mask", "Picture"), PLACES),
    "Row": "tarn.training.streaming.fields.row",
    **dict.fromkeys(("Json", "Raw", "Text"), TEXTS),
    "SequentialLoader": "tarn.training.streaming.sequential.loader",
}


def __getattr__(name: str) -> Any:
    """Loaded when first asked for: the loader needs torch, and the decoding processes import this package without."""
    if name in WHERE:
        from importlib import import_module

        return getattr(import_module(WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
