"""How many pictures a second a rank trains: what was measured of one network, scaled by multiply-adds to another.

A network of other layers, or of much smaller pictures, uses a device worse than the one that was measured, so the time
that is made of this is the least to be expected.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tarn.sharding.cores import available_cores
from tarn.sharding.errors import TarnError
from tarn.training.forecast.assumptions import CORES, Assumptions
from tarn.training.recipe.amp import choose_dtype, has_bf16
from tarn.training.run.config import RunConfig

PICTURES = 2  # that are counted: BatchNorm wants more than one


@dataclass(frozen=True, slots=True)
class Reference:
    """A measurement of whole training steps. multiply_adds: of a picture, as they are counted here; rate: images/s."""

    words: str
    multiply_adds: float
    rate: float


RESNET50, RESNET18 = 12.268e9, 0.4457e9
# One core: bf16 over whole runs (docs/recipes.md); float32 of the same step, batch 64, torch 2.15, in turns with bf16,
# 155 beside 245 images/s (medians of 6).
COMPILED = Reference("ResNet-50 at 224 px, bf16, compiled, on one H200", RESNET50, 6817)
EAGER = Reference("ResNet-50 at 224 px, bf16, not compiled, on one H200", RESNET50, 4555)
CORE_BF16 = Reference("ResNet-18 with BlurPool at 64 px, bf16, on a core of an AMD EPYC with AMX", RESNET18, 250)
CORE_FLOAT32 = Reference("ResNet-18 with BlurPool at 64 px, float32, on a core of an AMD EPYC", RESNET18, 155)


@dataclass(frozen=True, slots=True)
class Pace:
    """rates: images/s of a rank, by px of a picture's side; empty where nothing is known. words: where they come from.
    device: cpu, cuda or mps; cores: of a host, which decode, and train where device is cpu;
    is_here: whether this machine has the device."""

    rates: dict[int, float]
    words: str
    device: str
    cores: int
    is_here: bool = True


def pace_of(config: RunConfig, model: nn.Module, told: Assumptions) -> Pace:
    """On the device that the run would take here, or that config.device names, be it here or not. model: as the run
    trains it; moved to torch's meta device."""
    data, device = config.data, config.device if config.device != "auto" else device_here()
    is_here = device in ("cpu", device_here())
    cores = told.cores or (available_cores() if is_here else CORES * told.ranks_of_host)
    epochs = range(config.optim.epochs)
    sides = sorted({data.growth.size(epoch) for epoch in epochs} if data.growth else {data.image_size})
    if told.compute is not None:
        return Pace(dict.fromkeys(sides, told.compute), f"{told.compute:g} images/s", device, cores, is_here)
    reference = reference_of(config, device)
    if reference is None:
        return Pace({}, f"nothing, for no {device} was measured: tell images/s by --compute", device, cores, is_here)
    many = cores / told.ranks_of_host if device == "cpu" else 1
    scale = reference.rate * reference.multiply_adds * many
    rates = {side: scale / multiply_adds(model, side, config.model.freeze) for side in sides}
    most, least = max(rates.values()), min(rates.values())
    span = f"{least:,.0f}" if least == most else f"{least:,.0f} to {most:,.0f}"
    by = "multiply-adds and cores" if device == "cpu" else "multiply-adds"
    rest = "; float32 takes longer" if device == "cuda" and config.amp == "off" else ""
    words = f"{span} images/s, scaled by {by} from {reference.rate:,g} of {reference.words}{rest}"
    return Pace(rates, words, device, cores, is_here)


def device_here() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def reference_of(config: RunConfig, device: str) -> Reference | None:
    """None for a device that was not measured. A GPU's float32 was not either: its time is longer than bf16's."""
    if device == "cuda":
        return COMPILED if config.speed.compiles_on(torch.device("cuda")) else EAGER
    if device != "cpu":
        return None
    cpu = torch.device("cpu")
    return CORE_BF16 if choose_dtype(config.amp, cpu) is torch.bfloat16 and has_bf16(cpu) else CORE_FLOAT32


def multiply_adds(model: nn.Module, side: int, frozen: Sequence[str] = ()) -> float:
    """Of a training step for one picture, by shapes alone: a backward pass takes twice as many as the forward one, that
    of the frozen parts, by name, is not taken. Raises TarnError where the network cannot be counted."""
    shadow, counter = model.to("meta").train(), FlopCounterMode(display=False)
    try:
        with counter, torch.no_grad(), torch.random.fork_rng(devices=[]):
            shadow(torch.empty(PICTURES, 3, side, side, device="meta"))
    except Exception as error:  # each network raises its own kinds
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise TarnError(
            f"the network's multiply-adds at {side} px cannot be counted ({reason}): tell its images/s by --compute."
        ) from error
    found = counter.get_flop_counts()
    spared = sum(sum(found.get(f"{type(model).__name__}.{name}", {}).values()) for name in frozen)
    return (3 * counter.get_total_flops() - 2 * spared) / 2 / PICTURES
