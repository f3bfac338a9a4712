"""Page-locked memory by CUDA: a GPU copies from it while the program goes on. The only calls to CUDA's host memory."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import torch

PORTABLE = 1  # cudaHostRegisterPortable: page-locked for every CUDA context


class Binding(Protocol):
    """CUDA's calls, on one device. The first two return its status, 0 where all is well."""

    def register(self, address: int, size: int) -> int: ...

    def unregister(self, address: int) -> int: ...

    def synchronize(self) -> None: ...

    def launch(self) -> None:
        """A kernel. Raises RuntimeError for an error that CUDA still holds, which is then forgotten."""


class TorchBinding:
    """By torch, which has cudaHostRegister, but not cudaGetLastError."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def register(self, address: int, size: int) -> int:
        with torch.cuda.device(self.device):
            return int(torch.cuda.cudart().cudaHostRegister(address, size, PORTABLE))  # type: ignore[no-untyped-call]

    def unregister(self, address: int) -> int:
        return int(torch.cuda.cudart().cudaHostUnregister(address))  # type: ignore[no-untyped-call]

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.device)

    def launch(self) -> None:
        torch.ones(1, device=self.device)


class CudaRegistrar:
    """Registers memory of any kind in place (cudaHostRegister); see slots.py.

    Copies count as told on the stream that is current where the last tensor of a batch is dropped.
    """

    def __init__(self, device: torch.device, binding: Binding | None = None) -> None:
        self.device, self.binding = device, binding or TorchBinding(device)

    def register(self, address: int, size: int) -> str:
        """Returns why it cannot be done; nothing where it is done."""
        try:
            status = self.binding.register(address, size)
        except (RuntimeError, AttributeError) as error:
            self.forget_error()
            return " ".join(str(error).split())[:200]
        if status == 0:
            return ""
        self.forget_error()
        return f"cudaHostRegister returns {status}"

    def unregister(self, addresses: Sequence[int]) -> None:
        """When the device is done with all that it was told."""
        self.binding.synchronize()
        failed = [address for address in addresses if self.binding.unregister(address) != 0]
        if failed:
            self.forget_error()

    def forget_error(self) -> None:
        """CUDA holds a failed call's error until somebody asks for it, as torch does behind every kernel: the next one
        of the trainer would raise it, though nothing is wrong with that."""
        with suppress(RuntimeError):
            self.binding.launch()

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
