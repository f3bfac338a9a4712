"""Samples of tar shards as batches: pure order, exact resume, from local disks and object stores."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tarn.training.streaming.iteration import Batch
    from tarn.training.streaming.loader import ShardLoader
    from tarn.training.streaming.sequential.loader import SequentialLoader

__all__ = ["Batch", "SequentialLoader", "ShardLoader"]


def __getattr__(name: str) -> Any:
    """Loaded when first asked for: the loader needs torch, and the decoding processes import this package without."""
    if name in __all__:
        from importlib import import_module

        module = {"Batch": "iteration", "SequentialLoader": "sequential.loader", "ShardLoader": "loader"}[name]
        return getattr(import_module(f"tarn.training.streaming.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
