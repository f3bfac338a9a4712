"""The whole of a run's configuration; each part's dataclass stands beside its owner."""

from dataclasses import dataclass, field

from tarn.sharding.errors import UsageError
from tarn.sharding.storage.urls import expanded
from tarn.training.coercion import refuse_url
from tarn.training.recipe.augmentation import AugmentConfig
from tarn.training.recipe.optim import OptimConfig
from tarn.training.run.checkpoint import CheckpointConfig
from tarn.training.run.journal import JournalConfig
from tarn.training.run.speed import SpeedConfig
from tarn.training.streaming.config import DataConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The network."""

    arch: str = "resnet50"
    """resnet18, resnet34, resnet50, resnet101 or resnet152."""
    small_stem: bool = False
    """A 3x3 convolution in place of the 7x7 one and the pooling, for pictures of 32 to 64 px."""
    zero_init_last_gamma: bool = True
    """Residual blocks begin as the identity (Goyal et al. 2017, section 5.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """A run. The texts beneath the fields are what `fit --help` tells."""

    out: str = "runs/default"
    """The folder that receives everything."""
    seed: int = 0
    """Of weights, order and augmentation."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    amp: str = "auto"
    """Mixed precision in training: auto, off, bf16 or fp16."""
    eval_amp: str = "off"
    """The same in validation; off, so that what is validated is what is exported."""
    channels_last: bool = True
    """Memory layout of the network: faster on most GPUs and CPUs."""
    eval_batch: int = 128
    """Pictures of a rank at a time in validation."""
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    speed: SpeedConfig = field(default_factory=SpeedConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    journal: JournalConfig = field(default_factory=JournalConfig)

    def __post_init__(self) -> None:
        if self.eval_batch < 1:
            raise UsageError(f"eval_batch={self.eval_batch} must be at least 1.")
        if not -(2**63) <= self.seed < 2**63:
            raise UsageError(f"seed={self.seed} must be a whole number of 64 bits, such as 1.")
        refuse_url(self.out, "out")
        object.__setattr__(self, "out", str(expanded(self.out)))
        _ = self.data.preprocessing  # raises for sizes that make no picture
