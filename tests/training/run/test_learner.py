"""Steps of a learner alone: what they wait for, what becomes of a failed compilation and of a full memory."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from tarn.sharding.errors import TarnError, UsageError
from tarn.training.model.resnet import build_model
from tarn.training.recipe.optim import OptimConfig
from tarn.training.run.config import RunConfig
from tarn.training.run.learner import Learner
from tarn.training.run.memory import Memory, told_of_memory
from tarn.training.run.rehearsal import largest_part, rehearse
from tarn.training.run.speed import SpeedConfig
from tarn.training.streaming.iteration import Batch
from tarn.training.world.world import World

CONFIG = RunConfig(amp="off", optim=OptimConfig(global_batch=8), speed=SpeedConfig(compile="off"))


def tiny() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    )


def batch(samples: int = 8, side: int = 16, device: str = "cpu", last: bool = True) -> Batch:
    draw = torch.Generator().manual_seed(samples)
    images = torch.randint(0, 256, (samples, side, side, 3), dtype=torch.uint8, generator=draw)
    labels = torch.randint(0, 5, (samples,), generator=draw)
    return Batch(images.to(device), labels.to(device), step=0, last=last)


class Waits(TorchDispatchMode):
    """Collects the calls for which the CPU waits until a GPU has done all that was queued."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name, tensors = str(func), [arg for arg in args if isinstance(arg, Tensor)]
        if name.startswith(("aten._local_scalar_dense", "aten.nonzero", "aten.equal")):
            self.found.append(name)
        if name.startswith(("aten._to_copy", "aten.copy_")):
            devices = {tensor.device.type for tensor in [*tensors, result]}
            is_queued = (kwargs or {}).get("non_blocking") or (name.startswith("aten.copy_") and args[2:] == (True,))
            if len(devices) > 1 and not is_queued:
                self.found.append(f"{name} between {devices}")
        return result


def test_a_step_reads_no_value_back() -> None:
    learner = Learner(replace(CONFIG, amp="bf16"), World(), tiny())
    with Waits() as waits:
        sums = learner.step(iter([batch(4, last=False), batch(4)]), lr=0.1)
        assert waits.found == []
        float(sums[0])
    assert waits.found  # what is watched would see a wait


class Forward:
    """In place of a gradient scaler: a GPU that is only imagined has no backward."""

    def scale(self, loss: Tensor) -> "Forward":
        return self

    def backward(self) -> None:
        pass


def test_a_part_that_lies_on_a_gpu_makes_no_copy_that_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        world = World(device=torch.device("cuda", 0))
        with world.device:
            model = build_model("resnet18", 5, small_stem=True)
            parts = [Batch(torch.empty(4, 32, 32, 3, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64), 0, True)]
        monkeypatch.setattr(model, "to", lambda **where: model)  # fake parameters cannot be moved
        learner = Learner(CONFIG, world, model)
        learner.scaler = Forward()  # type: ignore[assignment]
        with Waits() as waits:
            sums = learner.backward(parts[0])
            assert waits.found == []
            sums.cpu()
        assert waits.found


def test_a_compiled_network_learns_what_the_plain_one_does_under_the_same_names() -> None:
    plain, fast = (Learner(replace(CONFIG, speed=SpeedConfig(compile=word)), World(), tiny()) for word in ("off", "on"))
    for learner in (plain, fast):
        learner.prepare(8, 16, parts=1)
        for _ in range(3):
            learner.step(iter([batch()]), lr=0.1)
    assert fast.problem is None
    assert fast.network is not fast.model
    ours, theirs = fast.state_dict()["model"], plain.state_dict()["model"]
    assert ours.keys() == theirs.keys()
    assert all(torch.allclose(ours[name].float(), theirs[name].float(), atol=1e-5) for name in ours)


def test_a_network_that_cannot_be_compiled_is_trained_as_it_is_which_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no C compiler is here")

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module, **words: real(module, backend=broken))
    learners = [Learner(replace(CONFIG, speed=SpeedConfig(compile=word)), World(), tiny()) for word in ("off", "on")]
    for learner in learners:
        learner.prepare(8, 16, parts=1)
        learner.step(iter([batch()]), lr=0.1)
    assert learners[1].network is learners[1].model
    assert "no C compiler is here" in str(learners[1].problem)
    states = [learner.state_dict()["model"] for learner in learners]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_what_speed_asks_of_another_machine_is_refused() -> None:
    with pytest.raises(UsageError, match="NVIDIA"):
        SpeedConfig(sync_batchnorm=True).check(World(), parts=1)
    with pytest.raises(UsageError, match="one NVIDIA GPU and steps of one part"):
        SpeedConfig(compile="graphs").check(World(device=torch.device("cuda")), parts=2)


def test_a_rehearsal_leaves_no_trace() -> None:
    learner = Learner(CONFIG, World(), nn.Sequential(nn.Dropout2d(), tiny()))
    before, drawn = {name: value.clone() for name, value in learner.model.state_dict().items()}, torch.get_rng_state()
    rehearse(learner.model, learner.rehearsal, 8, 16, torch.device("cpu"))
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in learner.model.state_dict().items())
    assert all(parameter.grad is None for parameter in learner.model.parameters())


class Small(nn.Module):
    """A network on a device that has memory for three samples."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.sizes = inner, list[int]()

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        if len(images) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.inner(images)  # type: ignore[no-any-return]


def test_the_largest_part_that_fits_is_found_by_halving() -> None:
    learner = Learner(CONFIG, World(), Small(tiny()))
    assert largest_part(learner.model, learner.rehearsal, 21, 16, torch.device("cpu")) == 3
    assert learner.model.sizes == [21, 11, 6, 3]


def test_a_step_that_does_not_fit_is_begun_again_in_halves_and_changes_the_weights_alike() -> None:
    # Without batch statistics, which depend on the pieces.
    networks = [nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 5)) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    whole, cut = Learner(CONFIG, World(), networks[0]), Learner(CONFIG, World(), Small(networks[1]))
    cut.memory = Memory(halves=True)
    for step in range(2):
        parts = [batch(3, last=False), batch(5)]
        sums = [learner.step(iter(parts), lr=0.1) for learner in (whole, cut)]
        assert torch.allclose(*sums), step
    assert cut.memory.pieces == 2
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_what_never_fits_ends_in_one_sentence_with_the_setting() -> None:
    learner = Learner(CONFIG, World(), Small(tiny()))
    with pytest.raises(TarnError, match=r"lower optim\.micro_batch"), told_of_memory(256):
        learner.step(iter([batch()]), lr=0.1)


def test_batch_statistics_of_a_step_begun_again_are_counted_once() -> None:
    learner = Learner(CONFIG, World(), Small(tiny()))
    learner.memory = Memory(halves=True)
    learner.step(iter([batch(2, last=False), batch(6)]), lr=0.1)
    assert learner.model.state_dict()["inner.1.num_batches_tracked"] == 4  # two pieces of each part
