"""Batch statistics that all ranks take together."""

import importlib

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tarn.sharding.errors import UsageError

PLAIN = {nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm}


def synchronised(model: nn.Module) -> nn.Module:
    """The network with torch's SyncBatchNorm for every BatchNorm; names and shapes stay.

    torch's own conversion knows plain ones alone: of a norm that does more, such as timm's with an activation in it, it
    would silently keep nothing but the norm. Those of timm are converted by timm; other ones raise UsageError.
    """
    odd = {type(module) for module in model.modules() if isinstance(module, _BatchNorm)} - PLAIN
    if not odd:
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call,no-any-return]
    strangers = sorted(kind.__qualname__ for kind in odd if not kind.__module__.startswith("timm."))
    if strangers:
        raise UsageError(
            f"speed.sync_batchnorm=true: the network has norms of its own kind ({', '.join(strangers)}), of which "
            "nobody knows how to take the statistics over all ranks: set it to false."
        )
    return importlib.import_module("timm.layers").convert_sync_batchnorm(model)  # type: ignore[no-any-return]
