"""What was done to how many pictures: counted by each shard, told in the manifest's description of a split."""

from collections import Counter
from collections.abc import Sequence

from tarn.sharding.packing.writer import Written

# A count's name in the manifest, and in Written.
COUNTED = {"left_untiled": "left", "content": "content", "made_baseline": "baseline", "normalised": "normalised"}


def counts(parts: Sequence[Written]) -> dict[str, dict[str, int]]:
    """By name and reason. Pictures that were not tiled are told in any case, the others where there are any."""
    found = {
        name: sum((Counter(getattr(part, field)) for part in parts), Counter[str]()) for name, field in COUNTED.items()
    }
    return {name: dict(sorted(it.items())) for name, it in found.items() if it or name == "left_untiled"}
