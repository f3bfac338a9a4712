"""How fast, and how repeatable, a step is to be; checked without torch, which takes seconds to import."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarn.sharding.errors import UsageError

if TYPE_CHECKING:
    import torch

    from tarn.training.world.world import World

COMPILE = ("auto", "on", "off", "graphs")
EXCHANGE = ("float32", "bf16")


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

    def check(self, world: "World", parts: int, fewest: int) -> None:
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

    def compiles_on(self, device: "torch.device") -> bool:
        return self.compile in ("on", "graphs") or (self.compile == "auto" and device.type == "cuda")
