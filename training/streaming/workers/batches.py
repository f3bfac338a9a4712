"""The batch of a place: located by the order, read from the source, decoded into the given memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError
from tarn.sharding.storage.persistence import Reader
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.jpeg_rows import JPEG_ROW, JpegRow, RegionWriter, no_jpegs
from tarn.training.pixels.pictures import BrokenPictureError, Pixels
from tarn.training.streaming.bad_samples import BadSample, substitute
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.remote.joined import joined_source
from tarn.training.streaming.remote.traffic import Traffic
from tarn.training.streaming.showings import Showings
from tarn.training.streaming.sources import Sample, Source
from tarn.training.streaming.workers.layout import NOTHING, RowColumns

if TYPE_CHECKING:  # what only samples of several members need is imported for those
    from tarn.training.streaming.workers.samples import SampleMaker

WITHOUT = "BadSamplesConfig(policy='replace'), data.bad_samples.policy=replace of a run"
SUBSTITUTES = 20  # tried for one bad sample before the shard itself counts as bad

Place = tuple[int, int, int]  # epoch, step, part of this rank's share
Rows = tuple[int, int]  # of a batch: the first one, and one past the last


@dataclass(frozen=True, slots=True)
class Made:
    """samples: rows written. keys: of the samples, where asked for. bad: samples that were replaced.

    jpegs: which rows hold a JPEG, and what is to become of it (JPEG_ROW); all others hold pixels. values: by field, one
    of each row, of fields that have no place in the batch's memory.
    """

    samples: int
    keys: tuple[str, ...]
    bad: tuple[BadSample, ...]
    jpegs: NDArray[np.void] = field(default_factory=no_jpegs)
    values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def __reduce__(self) -> tuple[object, ...]:
        """Without the type of the JPEGs' records, which takes longer to pickle than all else."""
        return made_of, (self.samples, self.keys, self.bad, self.jpegs.tobytes(), dict(self.values))

    def mended(self, rows: Sequence[int], again: "Made") -> "Made":
        """With those rows made again, as pixels."""
        keys = list(self.keys)
        for row, key in zip(rows, again.keys, strict=False):
            keys[row] = key
        kept = self.jpegs[~np.isin(self.jpegs["row"], rows)]
        return Made(self.samples, tuple(keys), self.bad + again.bad, kept)


def made_of(
    samples: int, keys: tuple[str, ...], bad: tuple[BadSample, ...], jpegs: bytes, values: dict[str, tuple[Any, ...]]
) -> Made:
    return Made(samples, keys, bad, np.frombuffer(jpegs, JPEG_ROW), values)


def joined(parts: Sequence[Made]) -> Made:
    """What all parts made, in the order of the rows."""
    return Made(
        sum(part.samples for part in parts),
        tuple(key for part in parts for key in part.keys),
        tuple(bad for part in parts for bad in part.bad),
        np.concatenate([part.jpegs for part in parts]),
        {
            name: tuple(it for part in parts for it in part.values.get(name, ()))
            for part in parts
            for name in part.values
        },
    )


def build_source(plan: StreamPlan, traffic: Traffic | None, number: int, reader: Reader | None = None) -> Source:
    """reader: one of the tars' root that has its connections open, if there is one."""
    return joined_source(plan.sources, traffic, number, reader, plan.content.reads_members)


class BatchMaker:
    """Makes the batch of any place, or some of its rows, for a place is all that a batch depends on."""

    def __init__(self, plan: StreamPlan, source: Source, alone: bool = False) -> None:
        """alone: whether this process is a worker. Raises TarnError for a hook that cannot be imported."""
        self.plan, self.source = plan, source
        self.showings: Showings | None = None
        self.decoder = PictureDecoder(plan.fidelity, plan.preprocessing.interpolation)
        self.regions = RegionWriter() if plan.decode == "cuda" and plan.train else None
        self.samples = sample_maker(plan, self.decoder, alone) if plan.content.fields is not None else None

    def make(
        self,
        place: Place,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        rows: Rows | None = None,
        as_pixels: bool = False,
        columns: Mapping[str, NDArray[Any]] = NOTHING,
    ) -> Made:
        """Writes those rows of images (n x H x W x 3), labels and columns, as far as the batch has them, or all.

        as_pixels: no JPEG is left to a device. Raises TarnError naming shard, key and cause.
        """
        epoch, step, part = place
        if self.showings is None or self.showings.epoch != epoch:
            self.showings = Showings(self.plan, epoch)
        first, end = rows or (0, len(labels))
        positions = self.plan.positions(step)[part][first:end]
        shards, places = self.showings.locate(positions)
        wanted = list(zip(shards.tolist(), places.tolist(), strict=True))
        uniforms = self.showings.uniforms(positions, shards, places)
        bad: list[BadSample] = []
        keys: list[str] = []
        jpegs: dict[int, JpegRow] = {}
        values: dict[str, list[Any]] = {}
        for at, sample in enumerate(self.read(wanted)):
            shard, out = wanted[at][0], images[first + at]
            jpeg = None if as_pixels else self.leave_to_device(sample.picture, out, uniforms[at])
            if jpeg is not None:
                jpegs[first + at] = jpeg
            else:
                place_in_order = (epoch, int(positions[at]))
                row = columns, first + at
                sample, told = self.write(out, row, shard, sample, uniforms[at], place_in_order, bad)
                for name, value in told.items():
                    values.setdefault(name, []).append(value)
            labels[first + at] = sample.label
            if self.plan.keys:
                keys.append(sample.key)
        listed = {name: tuple(each) for name, each in values.items()}
        return Made(len(wanted), tuple(keys), tuple(bad), jpeg_table(jpegs), listed)

    def read(self, places: Sequence[tuple[int, int]]) -> list[Sample]:
        """A picture that comes several times is read once."""
        if self.plan.repeats == 1:
            return self.source.read(places)
        once = list(dict.fromkeys(places))
        found = dict(zip(once, self.source.read(once), strict=True))
        return [found[place] for place in places]

    def remake(self, place: Place, images: NDArray[np.uint8], labels: NDArray[np.int64], rows: Sequence[int]) -> Made:
        """Those rows again, as pixels. Raises TarnError."""
        return joined([self.make(place, images, labels, (row, row + 1), as_pixels=True) for row in rows])

    def leave_to_device(self, data: memoryview, out: Pixels, uniforms: NDArray[np.float64]) -> JpegRow | None:
        if self.regions is None or self.plan.augmentation is None:
            return None
        return self.regions.write(data, out, self.plan.augmentation, uniforms)

    def write(
        self,
        out: Pixels,
        columns: RowColumns,
        shard: int,
        sample: Sample,
        uniforms: NDArray[np.float64],
        at: tuple[int, int],
        bad: list[BadSample],
    ) -> tuple[Sample, Mapping[str, Any]]:
        """The sample's pixels and columns, or those of the one that stands in for it. Returns the sample that they are
        of, and its values that stand in no column."""
        for attempt in range(SUBSTITUTES):
            try:
                if self.samples is not None:
                    row = columns, uniforms, at, self.source.url(shard)
                    return sample, self.samples.make(sample, out, *row)
                self.decode(sample.picture, out, uniforms)
                return sample, NOTHING
            except (BrokenPictureError, FieldError) as error:
                if self.plan.bad_samples.policy == "raise":
                    is_picture = isinstance(error, BrokenPictureError)
                    remedy = "pack without it" if is_picture else "mend the sample or the field"
                    raise TarnError(
                        f"{self.source.url(shard)}: {sample.key}{' is' if is_picture else ':'} {error}: {remedy}, or "
                        f"train without such samples ({WITHOUT})."
                    ) from error
                bad.append(BadSample(self.source.name(shard), sample.key, str(error)))
                (sample,) = self.source.read([(shard, self.substitute(shard, at, attempt))])
        raise TarnError(
            f"{self.source.url(shard)}: {SUBSTITUTES} samples drawn in a row are bad: copy or pack it again."
        )

    def substitute(self, shard: int, at: tuple[int, int], attempt: int) -> int:
        """The place of the sample of that shard, among the plan's own, which stands in for another."""
        number = substitute(self.plan.seed, *at, attempt, int(self.plan.sizes[shard]))
        return int(self.plan.places(np.array([shard]), np.array([number]))[0])

    def decode(self, data: memoryview, out: Pixels, uniforms: NDArray[np.float64]) -> None:
        if self.plan.augmentation is None:
            self.decoder.evaluate(data, out, self.plan.preprocessing)
        else:
            self.decoder.train(data, out, self.plan.augmentation, uniforms)


def sample_maker(plan: StreamPlan, decoder: PictureDecoder, alone: bool) -> "SampleMaker":
    """Imported where it is needed: a first batch of pictures and classes is there sooner."""
    from tarn.training.streaming.workers.samples import SampleMaker

    return SampleMaker(plan, decoder, alone)


def jpeg_table(jpegs: Mapping[int, JpegRow]) -> NDArray[np.void]:
    """By row. Returns JPEG_ROW records in the order of the rows."""
    return np.array([(row, *jpeg) for row, jpeg in jpegs.items()], JPEG_ROW)
