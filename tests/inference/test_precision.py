"""In how many bits PyTorch calculates."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tarn.inference.models.load import load
from tarn.inference.models.precision import choose_dtype, processor_flags
from tarn.inference.models.torch_scorer import TorchScorer
from tarn.sharding.errors import UsageError
from tarn.training.model.resnet import build_model

CPU, WITH, WITHOUT = torch.device("cpu"), frozenset({"avx512_bf16"}), frozenset({"avx2"})


def test_auto_takes_bf16_where_the_processor_has_it() -> None:
    assert choose_dtype("auto", CPU, WITH) == choose_dtype("bf16", CPU, WITH) == torch.bfloat16
    assert choose_dtype("auto", CPU, WITHOUT) == choose_dtype("float32", CPU, WITH) == torch.float32


@pytest.mark.parametrize(("precision", "told"), [("bf16", "not what this cpu calculates in"), ("int4", "unknown")])
def test_what_the_processor_does_not_have_is_refused(precision: str, told: str) -> None:
    with pytest.raises(UsageError, match=rf"precision='?{precision}'? is {told}"):
        choose_dtype(precision, CPU, WITHOUT)


def test_flags_are_those_that_the_kernel_tells(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags\t\t: fpu amx_bf16 avx2\n\nprocessor : 1\nflags\t: fpu\n")
    assert processor_flags(tmp_path / "cpuinfo") == {"fpu", "amx_bf16", "avx2"}
    assert processor_flags(tmp_path / "nowhere") == frozenset()


def test_a_network_in_bf16_gives_float32_logits_near_its_own(tmp_path: Path) -> None:
    torch.save(build_model("resnet18", 5, small_stem=True, seed=3).state_dict(), tmp_path / "weights.pth")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    exact = load(tmp_path / "weights.pth", device="cpu")
    assert isinstance(exact, TorchScorer)
    wanted = exact.logits(pixels)
    found = TorchScorer(exact.model, exact.card, CPU, torch.bfloat16).logits(pixels)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - wanted).max() < 0.1 * np.abs(wanted).max()
