"""Page-locked memory by CUDA: a GPU copies from it while the program goes on. The only calls to CUDA's host memory."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

PORTABLE = 1  # cudaHostRegisterPortable: page-locked for every CUDA context


def runtime() -> Any:
    return torch.cuda.cudart()  # type: ignore[no-untyped-call]


class CudaRegistrar:
    """Registers memory of any kind in place (cudaHostRegister); see slots.py.

    Copies count as told on the stream that is current where the last tensor of a batch is dropped.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def register(self, address: int, size: int) -> str:
        """Returns why it cannot be done; nothing where it is done."""
        try:
            with torch.cuda.device(self.device):
                status = int(runtime().cudaHostRegister(address, size, PORTABLE))
        except (RuntimeError, AttributeError) as error:
            return " ".join(str(error).split())[:200]
        return "" if status == 0 else f"cudaHostRegister returns {status}"

    def unregister(self, addresses: Sequence[int]) -> None:
        """When the device is done with all that it was told."""
        torch.cuda.synchronize(self.device)
        for address in addresses:
            runtime().cudaHostUnregister(address)

    def mark(self) -> Callable[[], bool]:
        """Whether the device is done with all that the current stream was told so far."""
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return event.query


def build_registrar(device: torch.device | None) -> tuple[CudaRegistrar | None, list[str]]:
    """And a warning where there is no GPU. device: which one; None: the current one."""
    if not torch.cuda.is_available():
        return None, ["batches lie in plain memory: pin_memory is for a CUDA device, and there is none."]
    if device is None or device.type != "cuda":
        device = torch.device("cuda", torch.cuda.current_device())
    return CudaRegistrar(device), []
