"""In how many bits PyTorch calculates."""

import re
from pathlib import Path

import torch

from tarn.sharding.errors import UsageError

CHOICES = ("auto", "float32", "bf16")
FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # of x86 and of ARM


def choose_dtype(precision: str, device: torch.device, flags: frozenset[str] | None = None) -> torch.dtype:
    """auto: bf16 where the device has it, which halves the time and changes a class in a thousand; else float32.

    flags: of the processor, by default as the kernel tells them. Raises UsageError for what is unknown, and for bf16
    where the device would only imitate it.
    """
    if precision not in CHOICES:
        raise UsageError(f"precision={precision!r} is unknown: choose one of {', '.join(CHOICES)}.")
    if precision == "float32":
        return torch.float32
    if has_bf16(device, processor_flags() if flags is None else flags):
        return torch.bfloat16
    if precision == "bf16":
        raise UsageError(f"precision=bf16 is not what this {device.type} calculates in: choose float32 or auto.")
    return torch.float32


def has_bf16(device: torch.device, flags: frozenset[str]) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and bool(flags & FLAGS)


def processor_flags(told: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """None where the kernel does not tell."""
    try:
        found = re.search(r"^(?:flags|Features)\s*:(.*)$", told.read_text(), re.MULTILINE)
    except OSError:
        return frozenset()
    return frozenset(found[1].split()) if found else frozenset()
