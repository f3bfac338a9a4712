"""How near an exported file comes to the trained model, and whether that is near enough to publish it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError
from tarn.training.export.formats import Format

MOST_LOST = 0.005  # of top-1


@dataclass(frozen=True, slots=True)
class Verdict:
    """difference: the largest of the logits. agreement: the share of pictures with the same likeliest class. top1,
    lost: where there are labels, and against the trained model on the same pictures; shares."""

    file: str
    pictures: int
    difference: float
    agreement: float
    top1: float | None = None
    lost: float | None = None

    def __str__(self) -> str:
        scored = "" if self.top1 is None or self.lost is None else f", top-1 {self.top1:.2%} ({-self.lost or 0.0:+.2%})"
        return (
            f"{self.file}: {self.pictures} pictures, logits differ by up to {self.difference:.2g}, "
            f"top-1 agrees on {self.agreement:.2%}{scored}"
        )


def judge(
    format: Format, wanted: NDArray[np.float32], found: NDArray[np.float32], labels: NDArray[np.int64] | None
) -> Verdict:
    """wanted: N x classes of the trained model; found: of the file, of the first pictures. Raises TarnError where the
    file is not to be published."""
    wanted = wanted[: len(found)]
    difference = float(np.abs(found - wanted).max())
    if not np.isfinite(found).all() and np.isfinite(wanted).all():
        raise unlike(f"{format.file} gives logits that are not finite")
    tolerance = format.tolerance
    if tolerance is not None and not np.allclose(found, wanted, rtol=tolerance, atol=tolerance):
        raise unlike(f"{format.file} gives logits that differ by up to {difference:.3g}")
    mine, theirs = found.argmax(1), wanted.argmax(1)
    agreement = float((mine == theirs).mean())
    if labels is None:
        return Verdict(format.file, len(found), difference, agreement)
    told = labels[: len(found)]
    hits, before = int((mine == told).sum()), int((theirs == told).sum())
    top1, lost = hits / len(found), (before - hits) / len(found)
    if tolerance is None and lost > MOST_LOST:
        raise unlike(
            f"{format.file} loses {lost:.2%} of top-1 over {len(found)} pictures, at most {MOST_LOST:.1%} may go"
        )
    return Verdict(format.file, len(found), difference, agreement, top1, lost)


def unlike(why: str) -> TarnError:
    return TarnError(f"the export was not published, for it does not load back as it was ({why}).")
