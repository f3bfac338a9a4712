"""Samples of tar shards as batches: pure order, exact resume, from local disks and object stores."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.streaming.loader import Batch, ShardLoader

__all__ = ["Batch", "ShardLoader"]


def __getattr__(name: str) -> Any:
    """Loaded when first asked for: the loader needs torch, and the decoding processes import this package without."""
    if name in __all__:
        from training.streaming import loader

        return getattr(loader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
