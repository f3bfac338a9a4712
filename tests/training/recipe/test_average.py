import pytest
import torch
from torch import nn

from tarn.training.recipe.average import Average


def small(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(5, 2))


def learnt(model: nn.Module, step: int) -> None:
    """Weights and statistics move, as by a step."""
    generator = torch.Generator().manual_seed(step)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor.data += torch.randn(tensor.shape, generator=generator)
        else:
            tensor += 1


def by_hand(states: list[dict[str, torch.Tensor]], decay: float) -> dict[str, torch.Tensor]:
    """Of the states at the updates: the first one, then always (1 + n) / (10 + n) or `decay` of what was."""
    average = {name: tensor.double() for name, tensor in states[0].items()}
    for n, state in enumerate(states[1:], start=1):
        kept = min(decay, (1 + n) / (10 + n))
        average = {name: kept * average[name] + (1 - kept) * state[name].double() for name in average}
    return average


@pytest.mark.parametrize(("decay", "every"), [(0.5, 1), (0.9999, 1), (0.6, 3)])
def test_weights_and_statistics_are_averaged_by_the_formula(decay: float, every: int) -> None:
    model = small()
    average, states = Average(model, decay, every), []
    for step in range(13):
        learnt(model, step)
        average.after_step(model)
        if step % every == 0:
            states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    wanted, found = by_hand(states, decay), average.model.state_dict()
    for name, tensor in found.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), wanted[name], rtol=1e-5, atol=1e-5)
        else:
            assert torch.equal(tensor, states[-1][name])  # a count of batches is no average
    assert not any(p.requires_grad for p in average.model.parameters())
    assert not average.model.training


@pytest.mark.parametrize("cut", [0, 1, 4])
def test_an_average_that_was_saved_goes_on_to_the_same_bits(cut: int) -> None:
    model = small()
    one = Average(model, 0.9, every=2)
    other = Average(small(9), 0.9, every=2)
    for step in range(7):
        if step == cut:
            other.load_state_dict(one.state_dict())
        learnt(model, step)
        one.after_step(model)
        if step >= cut:
            other.after_step(model)
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name]), name


def test_an_average_begun_late_begins_at_the_weights_of_then() -> None:
    model = small()
    average = Average(model, 0.9)
    learnt(model, 1)
    average.begin_at(model)
    assert torch.equal(average.model.state_dict()["2.weight"], model[2].weight)
    learnt(model, 2)
    average.after_step(model)
    assert torch.equal(average.model.state_dict()["2.weight"], model[2].weight)
