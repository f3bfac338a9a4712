"""A sample of several members as rows of a batch: its picture, its fields, and what a hook makes of both."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.geometry import Size, is_flipped
from tarn.training.pixels.pictures import Pixels
from tarn.training.pixels.view import View, centred_view, train_view, whole_view
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.fields.field import Members, Shown
from tarn.training.streaming.fields.members import members_of
from tarn.training.streaming.fields.reading import size_of
from tarn.training.streaming.import_paths import shown as shown_error
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.sources import Sample
from tarn.training.streaming.workers.hooks import PictureHook, picture_key
from tarn.training.streaming.workers.layout import RowColumns

SIZES = "sizes"  # of whole pictures, among what a batch has lists of


class SampleMaker:
    """alone: whether this process is a worker."""

    def __init__(self, plan: StreamPlan, decoder: PictureDecoder, alone: bool) -> None:
        self.plan, self.decoder, self.content = plan, decoder, plan.content
        self.hook = PictureHook(self.content.hook, alone) if self.content.hook is not None else None

    def make(
        self,
        sample: Sample,
        room: Pixels,
        columns: RowColumns,
        uniforms: NDArray[np.float64],
        at: tuple[int, int],
        where: str,
    ) -> dict[str, Any]:
        """Writes a row: pixels into the room (height x width x 3, the most that there may be), and columns by field.
        Returns what stands in no column. at: epoch and position; where: the shard's URL. Raises BrokenPictureError,
        FieldError; TarnError for a hook."""
        pixels = self.pixels(sample, room, uniforms)
        shown = Shown(
            self.view(sample, pixels.shape[:2], uniforms),
            *(self.decoder, self.plan.preprocessing, self.plan.augmentation, uniforms),
            self.content.whole,
            sample.label,
            sample.key,
        )
        values = self.values(sample, shown)
        if self.hook is not None:
            pixels = self.hooked(self.hook, pixels, values, room, at, f"{where}: {sample.key}")
        for name, column in columns[0].items():
            column[columns[1]] = values.pop(name)
        return {**values, SIZES: pixels.shape[:2]} if self.content.whole else values

    def pixels(self, sample: Sample, out: Pixels, uniforms: NDArray[np.float64]) -> Pixels:
        augmentation = self.plan.augmentation
        if self.content.whole:
            flip = augmentation is not None and is_flipped(augmentation, uniforms)
            return self.decoder.whole(sample.picture, out, flip)
        if augmentation is None:
            self.decoder.evaluate(sample.picture, out, self.plan.preprocessing)
        else:
            self.decoder.train(sample.picture, out, augmentation, uniforms)
        return out

    def view(self, sample: Sample, out: Size, uniforms: NDArray[np.float64]) -> View:
        stored = size_of(sample.picture)
        if self.plan.augmentation is not None:
            return train_view(stored, out, self.plan.augmentation, uniforms)
        if self.content.whole:
            return whole_view(stored, out)
        resize = self.plan.preprocessing.resize
        return centred_view(stored, out, (resize, out[1] * resize // out[0]))

    def values(self, sample: Sample, shown: Shown) -> dict[str, Any]:
        members: Members = {}
        if self.content.reads_members:
            shown.key, members = members_of(sample.raw, sample.start, sample.start + sample.begin)
        values = {}
        for name, field in self.content.fields or ():
            shown.name = name
            try:
                values[name] = field.value(members, shown)
            except FieldError as error:
                raise FieldError(f"{name} ({field.source}) {error}") from error
            except TarnError:  # of a table beside the samples
                raise
            except Exception as error:  # whatever a field of somebody's own raises
                raise FieldError(f"{name} ({field.source}) raised {shown_error(error)}") from error
        return values

    def hooked(
        self, hook: PictureHook, pixels: Pixels, values: dict[str, Any], room: Pixels, at: tuple[int, int], of: str
    ) -> Pixels:
        """Into the row. Raises TarnError naming hook, key and what was expected."""
        before = dict(values)
        given = hook(pixels, values, picture_key(self.plan.seed, *at), of)
        size = given.shape[:2]
        if not self.content.whole and size != room.shape[:2]:
            told, expected = (" x ".join(map(str, each)) for each in (size, room.shape[:2]))
            raise TarnError(f"{of}: {hook} returned {told} px, expected {expected}, as it was given.")
        if given.size > room.size:
            raise TarnError(f"{of}: {hook} returned {size[0]} x {size[1]} px, more than image_size has room for.")
        if list(values) != list(before):
            other = next(iter(set(values) ^ set(before)), "another order")
            raise TarnError(f"{of}: {hook} changed the names of the fields ({other}): expected {', '.join(before)}.")
        for name, field in self.content.fields or ():
            if values[name] is before[name] and size == pixels.shape[:2]:
                continue
            try:
                values[name] = field.checked(values[name], size)
            except FieldError as error:
                raise TarnError(f"{of}: {hook}: {name} {error}.") from error
        out = room.reshape(-1)[: given.size].reshape(given.shape)
        if not np.may_share_memory(given, out):
            out[...] = given
        elif given.ctypes.data != out.ctypes.data or given.strides != out.strides:
            out[...] = given.copy()
        return out
