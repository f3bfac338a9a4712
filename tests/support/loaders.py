"""ShardLoader for tests that vary single settings: each is put into the part of the call that it belongs to."""

from typing import Any

from tarn.training.streaming import ShardLoader
from tarn.training.streaming.loader import PARTS


def shard_loader(url: Any, **settings: Any) -> ShardLoader:
    """url: or parts. settings: of the call, or of one of the parts of its settings."""
    parts = {
        name: part(**{key: settings.pop(key) for key in part.__dataclass_fields__ if key in settings})
        for name, part in PARTS.items()
    }
    return ShardLoader(url, **parts, **settings)
