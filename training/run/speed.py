"""What makes a step fast without changing what it computes: compilation, and how ranks exchange gradients."""

from inspect import signature
from typing import Any, cast

import torch
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.debugging_hooks import noop_hook
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.nn.parallel import DistributedDataParallel

from tarn.training.run.speed_config import SpeedConfig
from tarn.training.world.world import World

SIZES = 64  # of pictures that grow, and of parts, each of which is compiled for


def compiled(network: nn.Module, speed: SpeedConfig) -> nn.Module:
    """For fixed sizes: a kernel made for any size is slower than one for this one."""
    mode = "reduce-overhead" if speed.compile == "graphs" else None
    return cast(nn.Module, torch.compile(network, dynamic=False, mode=mode, **many_sizes()))


def many_sizes() -> dict[str, Any]:
    """By default torch compiles for eight sizes, and runs all others uncompiled; older versions let a program change
    that for all of it alone."""
    has_limit = "recompile_limit" in signature(torch.compile).parameters
    return {"recompile_limit": SIZES} if has_limit else {}


def distributed(network: nn.Module, speed: SpeedConfig, world: World, parts: int) -> nn.Module:
    """With gradients averaged over the ranks, where there are several."""
    if world.size == 1:
        return network
    wrapped = DistributedDataParallel(network, gradient_as_bucket_view=True, static_graph=parts == 1)
    if speed.exchange == "bf16":
        wrapped.register_comm_hook(None, bf16_compress_hook)
    return wrapped


def by_itself(network: nn.Module, world: World) -> nn.Module:
    """As it is when distributed(), but a step exchanges nothing: nobody waits in it for a rank that failed."""
    if world.size == 1:
        return network
    wrapped = DistributedDataParallel(network, gradient_as_bucket_view=True, broadcast_buffers=False)
    wrapped.register_comm_hook(None, noop_hook)
    return wrapped
