"""The whole of a run's configuration; each part's dataclass stands beside its owner."""

from dataclasses import dataclass, field

from tarn.sharding.errors import UsageError
from tarn.sharding.storage.urls import expanded
from tarn.training.coercion import refuse_url
from tarn.training.export.formats import Format, known_formats
from tarn.training.recipe.augment_config import AugmentConfig
from tarn.training.recipe.optim import OptimConfig
from tarn.training.recipe.precision import CHOICES as AMP
from tarn.training.run.checkpoint_config import CheckpointConfig
from tarn.training.run.journal import JournalConfig
from tarn.training.run.speed_config import SpeedConfig
from tarn.training.streaming.config import DataConfig

EXPORTS = ("last", "best", "averaged")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The network."""

    arch: str = "resnet50"
    """resnet18, resnet34, resnet50, resnet101 or resnet152, which are ours; torchvision/<name> or timm/<name>."""
    init: str | None = None
    """Path or URL of weights to begin from: a checkpoint or model.pt of ours, or a state dict of torchvision's or
    timm's (.pt, .pth, .safetensors). The last layer is new where the number of classes differs."""
    freeze: tuple[str, ...] = ()
    """Parts that are not trained, such as [conv1, bn1, layer1]; they stay in eval mode, running statistics too."""
    small_stem: bool = False
    """A 3x3 convolution in place of the 7x7 one and the pooling, for pictures of 32 to 64 px."""
    zero_init_last_gamma: bool = True
    """Of ours: residual blocks begin as the identity (Goyal et al. 2017, section 5.1)."""
    blurpool: bool = False
    """Of ours: a blur in front of every strided convolution of 16 or more channels (Zhang 2019, arXiv 1904.11486)."""
    stochastic_depth: float | None = None
    """Chance that a sample skips the last residual branch in training, linearly less for those before (Huang et al.
    2016, arXiv 1603.09382), such as 0.05; null: what the network has by itself, none in ours."""

    def __post_init__(self) -> None:
        if self.stochastic_depth is not None and not 0 <= self.stochastic_depth < 1:
            raise UsageError(f"model.stochastic_depth={self.stochastic_depth} must be at least 0 and below 1, or null.")


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
    eval_flip: bool = False
    """Validation scores the mean of the logits of each picture and its mirror image."""
    export: str = "last"
    """Which weights are scored and exported at the end: last, best (of the epoch with the best validation top-1) or
    averaged (optim.ema_decay)."""
    export_formats: tuple[str, ...] = ("pt", "pkl")
    """What they are exported as: any of pt, pkl, safetensors, pt2, onnx, openvino-bf16, openvino-int8, such as
    [pt, onnx]; those of openvino are scored on data.val_split, int8 is calibrated on the training split."""
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
        for name, known in {"device": DEVICES, "amp": AMP, "eval_amp": AMP, "export": EXPORTS}.items():
            if getattr(self, name) not in known:
                raise UsageError(f"{name}={getattr(self, name)!r} is unknown: choose one of {', '.join(known)}.")
        if self.export == "averaged" and self.optim.ema_decay is None:
            raise UsageError("export='averaged' needs an average: set optim.ema_decay, such as 0.9999.")
        if self.scored_formats and self.data.holdout:
            raise UsageError(
                f"export_formats={self.scored_formats[0]} is scored on a split, and data.val_fraction holds out a part "
                "of one: leave it out, and make it afterwards by `export --formats`."
            )
        refuse_url(self.out, "out")
        object.__setattr__(self, "out", str(expanded(self.out)))
        _ = self.data.preprocessing  # raises for sizes that make no picture

    @property
    def formats(self) -> tuple[Format, ...]:
        """Of the export at the end. Raises UsageError for names that are none."""
        return known_formats(self.export_formats, "export_formats")

    @property
    def scored_formats(self) -> list[str]:
        """Those that take a validation split."""
        return [format.name for format in self.formats if format.is_scored]
