"""What makes a step fast without changing what it computes: compilation, and how ranks exchange gradients."""

from dataclasses import dataclass
from inspect import signature
from typing import Any, cast

import torch
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.debugging_hooks import noop_hook
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.nn.parallel import DistributedDataParallel

from tarn.sharding.errors import UsageError
from tarn.training.world.world import World

COMPILE = ("auto", "on", "off", "graphs")
EXCHANGE = ("float32", "bf16")
SIZES = 64  # of pictures that grow, and of parts, each of which is compiled for


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedConfig:
    """How fast, and how repeatable, a step is."""

    compile: str = "auto"
    """torch.compile of the network in training: on, off, auto: on for NVIDIA's GPUs, or graphs: on with CUDA graphs
    too, for networks so small that starting their kernels takes longer than these."""
    tf32: bool = True
    """float32 products of training may be rounded to TF32 on GPUs that have it; evaluation never is."""
    deterministic: bool = False
    """The same bits on every run on the same GPU, a resumed one too, at a price in speed."""
    exchange: str = "float32"
    """What gradients are sent as between ranks: float32, or bf16 in half the time."""
    sync_batchnorm: bool = False
    """Batch statistics over all ranks' parts (NVIDIA's GPUs only)."""

    def __post_init__(self) -> None:
        if self.compile not in COMPILE:
            raise UsageError(f"speed.compile={self.compile!r} is unknown: choose one of {', '.join(COMPILE)}.")
        if self.exchange not in EXCHANGE:
            raise UsageError(f"speed.exchange={self.exchange!r} is unknown: choose one of {', '.join(EXCHANGE)}.")

    def check(self, world: World, parts: int, fewest: int) -> None:
        """Raises UsageError for what this world, or a step of so many parts, cannot do. fewest: of any rank."""
        if self.sync_batchnorm and world.device.type != "cuda":
            raise UsageError(f"speed.sync_batchnorm=true needs NVIDIA's GPUs, device is {world.device.type}.")
        if self.sync_batchnorm and fewest != parts:
            raise UsageError(
                f"speed.sync_batchnorm=true: some of the {world.size} ranks take a step in {fewest} parts, others in "
                f"{parts}, and would wait for each other for ever: choose an optim.global_batch that the ranks divide, "
                "or another optim.micro_batch."
            )
        if self.compile == "graphs" and (world.device.type != "cuda" or world.size > 1 or parts > 1):
            raise UsageError(
                f"speed.compile='graphs' is for one NVIDIA GPU and steps of one part; here are {world.size} x "
                f"{world.device.type} and {parts} parts (optim.micro_batch): choose speed.compile=auto."
            )

    def compiles_on(self, device: torch.device) -> bool:
        return self.compile in ("on", "graphs") or (self.compile == "auto" and device.type == "cuda")


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
