"""Steps of a learner alone: what they wait for, what becomes of a failed compilation and of a full memory."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from tarn.sharding.errors import TarnError, UsageError
from tarn.training.model.resnet import build_model
from tarn.training.recipe.augment_config import AugmentConfig
from tarn.training.recipe.moment import Moment
from tarn.training.recipe.optim import OptimConfig
from tarn.training.recipe.policy_space import POLICIES, magnitudes
from tarn.training.run.config import RunConfig
from tarn.training.run.learner import Learner
from tarn.training.run.memory import Memory, Room, told_of_memory
from tarn.training.run.rehearsal import largest_part, rehearse
from tarn.training.run.speed_config import SpeedConfig
from tarn.training.streaming.batch import Batch
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


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 11), reason="an older torch asks the imagined GPU's driver"
)
@pytest.mark.parametrize(
    "augment",
    [
        AugmentConfig(),
        AugmentConfig(mixup=0.2, policy="randaugment", policy_ops=15, erase=1.0),
        AugmentConfig(cutmix=1.0, policy="trivialaugment"),
    ],
)
def test_a_part_that_lies_on_a_gpu_makes_no_copy_that_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, augment: AugmentConfig
) -> None:
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor)  # there is no GPU to lock pages for
    for policy in POLICIES:
        magnitudes(policy, 32, 32)  # kept; numbers of the host, which are not to be imagined
    with FakeTensorMode(allow_non_fake_inputs=True):
        world = World(device=torch.device("cuda", 0))
        with world.device:
            model = build_model("resnet18", 5, small_stem=True)
            parts = [Batch(torch.empty(4, 32, 32, 3, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64), 0, True)]
        monkeypatch.setattr(model, "to", lambda **where: model)  # fake parameters cannot be moved
        learner = Learner(replace(CONFIG, augment=augment), world, model, classes=5)
        learner.scaler = Forward()  # type: ignore[assignment]
        with Waits() as waits:
            sums = learner.backward(learner.augmented(parts[0], Moment(0, 0, np.arange(4))))
            assert waits.found == []
            sums.cpu()
        assert waits.found


@pytest.mark.filterwarnings("ignore:Skipping serialization:UserWarning")  # torch 2.6's own
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


def test_every_size_of_pictures_that_grow_is_compiled_for(monkeypatch: pytest.MonkeyPatch) -> None:
    if "recompile_limit" not in signature(torch.compile).parameters:
        pytest.skip("this torch has one limit for all of a program")
    made: list[Any] = []

    def counting(graph: Any, inputs: Any) -> Any:
        made.append(graph)
        return graph.forward

    @wraps(torch.compile)
    def compile_by_counting(module: Any, **words: Any) -> Any:
        return real(module, backend=counting, **words)

    real = torch.compile
    monkeypatch.setattr(torch, "compile", compile_by_counting)
    learner = Learner(replace(CONFIG, speed=SpeedConfig(compile="on")), World(), tiny())
    for side in range(16, 28):
        learner.prepare(8, side, parts=1) if side == 16 else learner.step(iter([batch(side=side)]), lr=0.1)
    assert len(made) == 24  # network and normalisation


TWO_RANKS = """
import torch
from tarn.training.run.learner import Learner
from tarn.training.run.speed_config import SpeedConfig
from tarn.training.world.world import joined_world
from test_learner import CONFIG, batch, replace, tiny

def refuse(graph, inputs):
    raise RuntimeError("no C compiler is here")

real = torch.compile
with joined_world("cpu", timeout_minutes=1) as world:
    backend = refuse if world.rank == 1 else "eager"
    torch.compile = lambda module, **words: real(module, backend=backend)
    states = []
    for word in ("off", "on"):
        learner = Learner(replace(CONFIG, speed=SpeedConfig(compile=word)), world, tiny())
        learner.prepare(4, 16, parts=1)
        for _ in range(2):
            learner.step(iter([batch(4 + world.rank)]), lr=0.1)
        states.append([p.detach().clone() for p in learner.model.parameters()])
    told = world.gather(learner.problem)
    if world.rank == 0:
        assert "on another rank" in told[0] and "no C compiler is here" in told[1], told
        assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
        print("both go on")
"""


def test_ranks_go_on_together_where_one_of_them_cannot_compile(tmp_path: Path) -> None:
    script = tmp_path / "two_ranks.py"
    script.write_text(TWO_RANKS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=environment)
    assert "both go on" in done.stdout, done.stderr[-3000:]


def test_what_speed_asks_of_another_machine_is_refused() -> None:
    with pytest.raises(UsageError, match="NVIDIA"):
        SpeedConfig(sync_batchnorm=True).check(World(), parts=1, fewest=1)
    with pytest.raises(UsageError, match="one NVIDIA GPU and steps of one part"):
        SpeedConfig(compile="graphs").check(World(device=torch.device("cuda")), parts=2, fewest=2)


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


def test_a_restart_cuts_the_parts_that_were_found_not_to_fit_as_before() -> None:
    """Mixtures are drawn for a whole part, of which pieces are taken."""
    auto = replace(CONFIG, optim=OptimConfig(global_batch=64, micro_batch="auto"))
    learner = Learner(auto, World(), tiny())
    learner.memory = Memory(halves=True)
    assert learner.part_size(64, 16, Room(part=32, pieces=2, side=16)) == 32
    assert learner.memory.pieces == 2
    several = Learner(auto, World(), tiny())  # ranks that wait for each other cut nothing: parts are smaller
    assert several.part_size(64, 16, Room(part=32, pieces=2, side=16)) == 16
    assert several.part_size(64, 32, Room(part=2, pieces=1, side=16)) == 64  # larger pictures: looked for anew


def test_ranks_of_unlike_parts_take_no_statistics_together() -> None:
    world = World(2, 3, device=torch.device("cuda"))
    with pytest.raises(UsageError, match=r"some of the 3 ranks take a step in 1 parts, others in 2"):
        SpeedConfig(sync_batchnorm=True).check(world, parts=2, fewest=1)
    SpeedConfig(sync_batchnorm=True).check(world, parts=2, fewest=2)
    assert (world.smallest_share(1000), world.largest_share(1000)) == (333, 334)
