"""Both models see every picture; those on which they differ most tellingly are kept to be looked at."""

import heapq
import io
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from tarn.inference.comparing.figures import Verdict
from tarn.inference.models.scorer import Scorer
from tarn.inference.pictures import NamedPicture
from tarn.inference.prediction import Prediction
from tarn.inference.predictor import Predictor
from tarn.inference.sources import Unit
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.labels import Label
from tarn.sharding.pillow import BrokenPictureError, decoding, draft, open_picture
from tarn.training.export.card import Card

SIDE, QUALITY = 144, 80  # px of a thumbnail's longer side, and of its JPEG


class Timed:
    """A scorer that tells how long it worked. seconds: for how many pictures."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer, self.card, self.seconds, self.pictures = scorer, scorer.card, 0.0, 0

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        started = time.perf_counter()
        found = self.scorer.logits(pixels)
        self.seconds += time.perf_counter() - started
        self.pictures += len(pixels)
        return found


def name_alike(first: Timed, second: Timed) -> Iterator[str]:
    """What is worth a word about their classes. A state dict of others numbers them: where there are as many, they are
    taken for the other model's, in its order.

    Raises UsageError for models that have no class in common.
    """
    for mine, theirs in ((first, second), (second, first)):
        as_many = mine.card.num_classes == theirs.card.num_classes
        if as_many and is_numbered(mine.card) and not is_numbered(theirs.card):
            mine.card = replace(mine.card, classes=theirs.card.classes)
            which = "first" if mine is first else "second"
            yield f"the {which} model numbers its classes: they are taken for the other's, in its order."
    ours, theirs_too = ({info.wnid for info in it.card.classes} for it in (first, second))
    shared = len(ours & theirs_too)
    if not shared:
        raise UsageError(
            f"the models have no class in common ({first.card.classes[0].wnid}, ... and {second.card.classes[0].wnid}, "
            "...): compare models of the same dataset."
        )
    if shared < max(len(ours), len(theirs_too)):
        yield (
            f"the models have {shared:,} of {len(ours):,} and {len(theirs_too):,} classes in common: pictures of "
            "others count as without label."
        )


def is_numbered(card: Card) -> bool:
    return all(info.wnid == str(number) for number, info in enumerate(card.classes))


@dataclass(frozen=True, slots=True, order=True)
class Kept:
    """A picture on which the models differ. lot: the largest goes first; drawn from its name."""

    lot: int
    picture: str
    verdict: Verdict = field(compare=False)
    shares: tuple[float, float] = field(compare=False)
    jpeg: bytes | None = field(compare=False)


@dataclass(slots=True)
class Comparison:
    """sheet: at most so many pictures of each kind of difference. broken: pictures that cannot be read."""

    first: Predictor
    second: Predictor
    sheet: int
    verdicts: list[Verdict] = field(default_factory=list)
    kept: dict[str, list[Kept]] = field(default_factory=dict)
    broken: list[Prediction] = field(default_factory=list)

    def see(self, units: Iterable[Unit]) -> Iterator[int]:
        """Tells how many pictures were seen, unit by unit."""
        for unit in units:
            pictures = unit.open()
            pairs = zip(pictures, self.first.stream(pictures), self.second.stream(pictures), strict=True)
            for picture, one, other in pairs:
                self.take(picture, one, other)
            yield len(pictures)

    def take(self, picture: NamedPicture, one: Prediction, other: Prediction) -> None:
        if one.error is not None or other.error is not None:
            self.broken.append(one if one.error is not None else other)
            return
        label = self.label_of(picture.label)
        verdict = Verdict(picture.name, label, one.guesses[0].wnid, other.guesses[0].wnid)
        self.verdicts.append(verdict)
        if verdict.kind is not None:
            self.keep(picture, verdict, (one.guesses[0].probability, other.guesses[0].probability))

    def label_of(self, told: Label | None) -> str | None:
        """As a wnid that both models know; a number counts the first one's classes."""
        ours, theirs = self.first.card.classes, self.second.card.classes
        if isinstance(told, int):
            told = ours[told].wnid if 0 <= told < len(ours) else None
        found = next((info.wnid for info in ours if told in (info.wnid, info.name)), None)
        return found if any(info.wnid == found for info in theirs) else None

    def keep(self, picture: NamedPicture, verdict: Verdict, shares: tuple[float, float]) -> None:
        kept, lot = (
            self.kept.setdefault(verdict.kind or "", []),
            -zlib.crc32(picture.name.encode("utf-8", "surrogateescape")),
        )
        if len(kept) == self.sheet and (not kept or lot <= kept[0].lot):
            return
        heapq.heappush(kept, Kept(lot, picture.name, verdict, shares, thumbnail(picture, self.first)))
        if len(kept) > self.sheet:
            heapq.heappop(kept)


def thumbnail(picture: NamedPicture, predictor: Predictor) -> bytes | None:
    """None for what cannot be shown."""
    try:
        with open_picture(picture.load(predictor.preparer.limits.bytes)) as opened, decoding("damaged pixels"):
            draft(opened, "RGB", (2 * SIDE, 2 * SIDE))
            image = ImageOps.exif_transpose(opened).convert("RGB")
            image.thumbnail((SIDE, SIDE))
            out = io.BytesIO()
            image.save(out, "JPEG", quality=QUALITY)
            return out.getvalue()
    except (TarnError, OSError, BrokenPictureError):
        return None


def in_order(kept: Sequence[Kept]) -> list[Kept]:
    """Of a sheet: by their class, then by name."""
    return sorted(kept, key=lambda it: (it.verdict.label or "", it.picture))
