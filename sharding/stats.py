"""What a packed dataset holds, as text: the door to sharding/statistics for programs."""

import os

from tarn.sharding.format.manifest import Manifest
from tarn.sharding.statistics.collect import collect
from tarn.sharding.statistics.text import text_of


def stats(root: str | os.PathLike[str], manifest: Manifest) -> str:
    """Counts, bytes, histograms of bytes, sides and classes, of every split. Raises TarnError."""
    return text_of(root, manifest, collect(root, manifest))
