"""Members that go along with pictures which do not stay as they were."""

from collections.abc import Mapping
from typing import Any

from tarn.sharding.errors import UsageError
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.resharding.others import KEPT, Keep


def refuse_moved(told: Mapping[str, Any], how: Preparation, keep: Keep) -> None:
    """Raises UsageError where members go along unasked that may tell of pixels which are elsewhere then. told: of the
    source, see Source."""
    if KEPT in told and how.moves_pixels and keep == Keep():
        endings = ", ".join(f".{ending}" for ending in told[KEPT])
        raise UsageError(
            f"pictures are to be made smaller or turned, and boxes and masks beside them ({endings}) would not fit any "
            f"more: say what goes along all the same, --members {','.join(told[KEPT])}, or --members none."
        )
