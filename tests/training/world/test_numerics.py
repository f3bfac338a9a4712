import torch

from tarn.training.world.numerics import full_float32, training_numerics


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
