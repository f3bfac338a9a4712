"""The settings of ShardLoader that say what samples become, made definite and held against each other."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import Manifest
from tarn.training.pixels.geometry import Size
from tarn.training.streaming.config import DeliveryConfig, PictureConfig, check_number
from tarn.training.streaming.fields.content import Content
from tarn.training.streaming.import_paths import check_written
from tarn.training.streaming.part import Part

if TYPE_CHECKING:
    from tarn.training.streaming.fields.field import Field


def checked_size(told: int | tuple[int, int]) -> Size:
    """Height and width. Raises UsageError."""
    sides = told if isinstance(told, tuple | list) else (told, told)
    if len(sides) != 2:
        raise UsageError(f"image_size={told!r} must be a side in px, or two, height and width.")
    for side in sides:
        check_number(side, "image_size", 1, "px of a square picture's side, or two, height and width")
    return int(sides[0]), int(sides[1])


def checked_content(
    fields: "Mapping[str, str | Field] | None",
    picture_hook: str | None,
    batch_hook: str | None,
    size: Size,
    pictures: PictureConfig,
    delivery: DeliveryConfig,
) -> Content:
    """Raises UsageError naming the field or the hook, or settings that do not go together."""
    content = content_of(fields, picture_hook, size, pictures)
    if batch_hook is not None:
        check_written(batch_hook, "batch_hook")
    check_together(content, pictures, delivery, size)
    return content


def content_of(
    fields: "Mapping[str, str | Field] | None", picture_hook: str | None, size: Size, pictures: PictureConfig
) -> Content:
    """Raises UsageError naming the field or the hook."""
    whole = pictures.augment.crop == "none"
    width = size[1] if size[1] != size[0] else None
    if picture_hook is not None:
        check_written(picture_hook, "picture_hook")
    if fields is None and picture_hook is None and not whole:
        return Content(width=width)
    from tarn.training.streaming.fields.chosen import LABEL, chosen_fields

    if fields is not None and not isinstance(fields, Mapping):
        raise UsageError(f"fields={fields!r} must be a mapping of names to members, such as {{'caption': 'txt'}}.")
    told = chosen_fields({"labels": LABEL} if fields is None else fields)
    return Content(fields=told, hook=picture_hook, whole=whole, width=width)


def check_together(content: Content, pictures: PictureConfig, delivery: DeliveryConfig, size: Size) -> None:
    """Raises UsageError for settings that do not go together."""
    other = "fields or a hook" if content.fields is not None else "pictures that are no squares"
    if delivery.decode != "cpu" and content != Content():
        raise UsageError(
            f"decode={delivery.decode} makes square crops and class labels alone: choose decode=cpu for {other}."
        )
    if pictures.first_size is not None and (content.whole or content.width):
        raise UsageError(
            "first_size is of square crops: leave it out for whole pictures and those that are no squares."
        )
    if pictures.pad_to is not None and not content.whole:
        raise UsageError(
            f"pad_to={pictures.pad_to} is of whole pictures: set augment=Augmentation(crop='none') with it."
        )


def check_labels(content: Content, parts: Sequence[Part], manifests: Sequence[Manifest], split: str) -> None:
    """Raises UsageError where labels are wanted of samples that have none."""
    if content.fields is None or any(field.source == "label" for _, field in content.fields):
        check_labelled(parts, manifests, split)


def check_labelled(parts: Sequence[Part], manifests: Sequence[Manifest], split: str) -> None:
    """Raises UsageError for a part whose samples have no label, neither of their own nor of a table."""
    for part, manifest in zip(parts, manifests, strict=True):
        if part.labels is None and not manifest.is_labelled(part.split or split):
            raise UsageError(
                f"{part.url} has no classes (it was made with --label none): say by fields= what batches hold, such as "
                "fields={'caption': 'txt'}, or name a table of its labels by Part(..., labels=...)."
            )
