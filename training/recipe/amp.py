"""Automatic mixed precision: which type, and the scaler that fp16 needs."""

import torch

from tarn.sharding.errors import UsageError
from tarn.training.recipe.precision import CHOICES


def choose_dtype(name: str, device: torch.device) -> torch.dtype | None:
    """The autocast type, None for full precision. auto: bf16 where the hardware has it, else fp16 on a GPU, else off.

    Raises UsageError for an unknown name, and for fp16 on a CPU.
    """
    if name not in CHOICES:
        raise UsageError(f"amp={name!r} is unknown: choose one of {', '.join(CHOICES)}.")
    if name == "off":
        return None
    if name == "fp16":
        if device.type == "cpu":
            raise UsageError("amp='fp16' does not train on a CPU: choose auto, bf16 or off.")
        return torch.float16
    if name == "bf16" or has_bf16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else None


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 there: Ampere or newer, or a CPU with AMX or AVX-512 bf16 instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return cpu_has("_is_amx_tile_supported") or cpu_has("_is_avx512_bf16_supported")
    return False


def cpu_has(question: str) -> bool:
    """What torch knows about the CPU; the names are private to it and absent before 2.6 and from some builds."""
    ask = getattr(torch.cpu, question, None)
    return bool(ask()) if ask is not None else False


def build_scaler(dtype: torch.dtype | None, device: torch.device) -> torch.amp.GradScaler:
    """Scales the loss for fp16, passes everything through otherwise (Micikevicius et al. 2017, arXiv 1710.03740)."""
    return torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)
