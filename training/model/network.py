"""A network by name: ours, torchvision's or timm's."""

import difflib
from dataclasses import dataclass

import torch
from torch import nn

from tarn.sharding.errors import UsageError
from tarn.training.model.libraries import LIBRARIES, build_of_library, library_of, torchvision_names
from tarn.training.model.resnet import DEPTHS, build_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """All that makes a network, but the weights: B x 3 x side x side float pictures to B x num_classes logits.

    stochastic_depth: None is what the network has by itself. Raises UsageError for what does not go together.
    """

    arch: str
    num_classes: int
    side: int = 224
    small_stem: bool = False
    blurpool: bool = False
    zero_init_last_gamma: bool = False
    stochastic_depth: float | None = None

    def __post_init__(self) -> None:
        if not is_known(self.arch):
            raise unknown(self.arch)
        for name in ("small_stem", "blurpool"):
            if getattr(self, name) and not self.is_ours:
                raise UsageError(f"model.{name} is of our own ResNets: leave it off with model.arch={self.arch!r}.")

    @property
    def is_ours(self) -> bool:
        return self.arch in DEPTHS

    def build(self, seed: int | None = None) -> nn.Module:
        """With a seed, the weights are drawn from that seed and no global state is touched.

        Raises UsageError for an unknown name and what a library refuses, TarnError where timm is not installed.
        """
        if self.is_ours:
            return build_model(
                self.arch,
                self.num_classes,
                self.small_stem,
                self.zero_init_last_gamma,
                seed,
                self.blurpool,
                self.stochastic_depth or 0.0,
            )
        with torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.manual_seed(seed)
            return build_of_library(self.arch, self.num_classes, self.side, self.stochastic_depth)


def is_known(arch: object) -> bool:
    """Of ours whether there is such a network; of a library's that it is named rightly."""
    return isinstance(arch, str) and (arch in DEPTHS or library_of(arch) is not None)


def unknown(arch: str) -> UsageError:
    names = [*DEPTHS, *(f"torchvision/{name}" for name in torchvision_names())]
    close = difflib.get_close_matches(arch, names, 2) + [name for name in names if name == f"torchvision/{arch}"]
    advice = f"; did you mean {' or '.join(dict.fromkeys(close))}?" if close else "."
    return UsageError(
        f"model.arch={arch!r} is unknown: choose one of {', '.join(DEPTHS)}, or "
        f"{' or '.join(f'{library}/<name>' for library in LIBRARIES)}{advice}"
    )
