"""How a device calculates: torch keeps it as facts of the process, here it lasts as long as a block."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """float32 means float32: NVIDIA's GPUs would else round what a convolution multiplies to TF32, 10 bits of mantissa
    in place of 23."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products


@contextmanager
def training_numerics(tf32: bool, deterministic: bool) -> Iterator[None]:
    """TF32 in products and convolutions, or not; either the same bits each time, or whichever convolution is fastest
    for the sizes at hand (cudnn.benchmark), which may be another one after a resume."""
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (cudnn.allow_tf32, products.allow_tf32, cudnn.benchmark, cudnn.deterministic)
    strict = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn.allow_tf32 = products.allow_tf32 = tf32
    cudnn.benchmark, cudnn.deterministic = not deterministic, deterministic
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        cudnn.allow_tf32, products.allow_tf32, cudnn.benchmark, cudnn.deterministic = before
        torch.use_deterministic_algorithms(strict[0], warn_only=strict[1])


@contextmanager
def compute_threads(count: int | None) -> Iterator[None]:
    """So many threads for what a CPU calculates; None: as many as before."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count is not None:
            torch.set_num_threads(before)
