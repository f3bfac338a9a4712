import pytest
import torch

from tarn.training.world.numerics import full_float32, training_numerics
from tarn.training.world.ranks import Ranks
from tarn.training.world.world import joined_world


def told() -> tuple[bool, ...]:
    cudnn = torch.backends.cudnn
    products = torch.backends.cuda.matmul.allow_tf32
    strict = torch.are_deterministic_algorithms_enabled()
    return cudnn.allow_tf32, products, cudnn.benchmark, cudnn.deterministic, strict


def test_evaluation_within_training_is_in_full_float32_and_training_goes_on_as_it_was() -> None:
    before = told()
    with training_numerics(tf32=True, deterministic=False):
        assert told() == (True, True, True, False, False)
        with full_float32():
            assert told()[:2] == (False, False)
        assert told()[:2] == (True, True)
    with training_numerics(tf32=False, deterministic=True):
        assert told() == (False, False, False, True, True)
    assert told() == before


def test_what_a_program_chose_is_as_it_was_when_a_run_in_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    monkeypatch.setattr(Ranks, "cores", lambda ranks: before + 1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with joined_world("cpu"), training_numerics(tf32=False, deterministic=True):
            assert torch.get_num_threads() == before + 1
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.get_num_threads() == before
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(before)
