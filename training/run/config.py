"""The whole of a run's configuration; each part's dataclass stands beside its owner."""

from dataclasses import dataclass, field

from tarn.sharding.errors import UsageError
from tarn.training.coercion import refuse_url
from tarn.training.recipe.optim import OptimConfig
from tarn.training.run.checkpoint import CheckpointConfig
from tarn.training.run.journal import JournalConfig
from tarn.training.streaming.config import DataConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """arch: resnet18, 34, 50, 101 or 152; small_stem for pictures of 32 to 64 px."""

    arch: str = "resnet50"
    small_stem: bool = False
    zero_init_last_gamma: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """out: the folder that receives everything. amp: auto, off, bf16 or fp16. eval_amp: the same, for validation;
    off by default, so that what is validated is what is exported."""

    out: str = "runs/default"
    seed: int = 0
    device: str = "auto"
    amp: str = "auto"
    eval_amp: str = "off"
    channels_last: bool = True
    eval_batch: int = 128  # pictures of a rank at a time
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    journal: JournalConfig = field(default_factory=JournalConfig)

    def __post_init__(self) -> None:
        if self.eval_batch < 1:
            raise UsageError(f"eval_batch={self.eval_batch} must be at least 1.")
        if not -(2**63) <= self.seed < 2**63:
            raise UsageError(f"seed={self.seed} must be a whole number of 64 bits, such as 1.")
        refuse_url(self.out, "out")
        _ = self.data.preprocessing  # raises for sizes that make no picture
