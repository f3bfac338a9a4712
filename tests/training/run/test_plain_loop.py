"""Ten steps of the Learner beside a plain PyTorch loop: the same weights, the same batches, the same numbers."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from support.lamb import ByThePaper
from tarn.sharding.errors import UsageError
from tarn.training.recipe.optim import OptimConfig
from tarn.training.run.config import RunConfig
from tarn.training.run.learner import Learner
from tarn.training.run.soundness import divergence
from tarn.training.streaming.batch import Batch
from tarn.training.world.world import World

BATCH, CLASSES, STEPS = 12, 7, 10
PARTS = (7, 5)  # of a batch
BASE: dict[str, Any] = {"global_batch": BATCH, "weight_decay": 0.02}


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        layers = OrderedDict[str, nn.Module](conv1=nn.Conv2d(3, 8, 3, bias=False), bn1=nn.BatchNorm2d(8))
        layers |= {"relu": nn.ReLU(), "conv2": nn.Conv2d(8, 16, 3, stride=2, bias=False), "bn2": nn.BatchNorm2d(16)}
        layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "fc": nn.Linear(16, CLASSES)}
        return nn.Sequential(layers)


def batches(step: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(100 + step)
    images = torch.randint(0, 256, (BATCH, 12, 12, 3), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (BATCH,), generator=generator)
    parts = zip(images.split(PARTS), labels.split(PARTS), strict=True)
    return [Batch(image, label, step, part == 1) for part, (image, label) in enumerate(parts)]


def learner(**settings: Any) -> Learner:
    config = RunConfig(device="cpu", amp="off", optim=OptimConfig(**{**BASE, **settings}))
    return Learner(config, World(0, 1, 0, 1, torch.device("cpu")), network())


@dataclass
class PaperLamb:
    """torch's interface around the reference, so that one loop does for all."""

    layers: dict[nn.Parameter, ByThePaper]

    def step(self) -> None:
        for parameter, layer in self.layers.items():
            assert parameter.grad is not None
            layer.step(parameter.grad.double().numpy())
            parameter.data = torch.from_numpy(layer.x).float()


def reference_optimizer(name: str, model: nn.Module, rate: float) -> Any:
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
    if name == "sgd":
        return torch.optim.SGD(groups, rate, momentum=0.9, nesterov=True, foreach=False)
    if name == "adamw":
        return torch.optim.AdamW(groups, rate, foreach=False)
    return PaperLamb(
        {
            p: ByThePaper(p.detach().double().numpy(), 0.02 if p.ndim > 1 else 0.0, rate, (0.9, 0.999))
            for p in model.parameters()
        }
    )


def reference_loss(settings: dict[str, Any], logits: Tensor, labels: Tensor) -> Tensor:
    """Summed over the samples."""
    smoothing = settings.get("label_smoothing", 0.0)
    if settings.get("loss") != "bce":
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing) * len(labels)
    wanted = functional.one_hot(labels, CLASSES) * (1 - smoothing) + smoothing / CLASSES
    return functional.binary_cross_entropy_with_logits(logits, wanted) * len(labels)


def reference(rate: float, settings: dict[str, Any]) -> Iterator[tuple[float, nn.Module, dict[str, Tensor]]]:
    """After each step: the loss of its batch, the network, and the moving average of its state."""
    model = network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = reference_optimizer(settings.get("optimizer", "sgd"), model, rate)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (RunConfig().data.mean, RunConfig().data.std))
    average: dict[str, Tensor] = {}
    for step in range(STEPS):
        total = 0.0
        model.zero_grad()
        for part in batches(step):
            images = (part.images.permute(0, 3, 1, 2).float() / 255 - mean) / std
            loss = reference_loss(settings, model(images.contiguous(memory_format=torch.channels_last)), part.labels)
            (loss / BATCH).backward()
            total += float(loss.detach())
        if settings.get("clip_norm"):
            nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
        optimizer.step()
        kept = min(settings.get("ema_decay", 0.0), (1 + step) / (10 + step)) if step else 0.0
        state = model.state_dict()
        average = {name: kept * average.get(name, 0.0) + (1 - kept) * state[name] for name in state}
        yield total, model, average


@pytest.mark.parametrize(
    ("rate", "settings"),
    [
        (0.1, {"optimizer": "sgd"}),
        (0.003, {"optimizer": "adamw"}),
        (0.01, {"optimizer": "lamb"}),
        (0.1, {"label_smoothing": 0.1, "clip_norm": 0.5}),
        (0.01, {"optimizer": "lamb", "loss": "bce", "label_smoothing": 0.1, "ema_decay": 0.8}),
        (0.003, {"optimizer": "adamw", "loss": "bce", "clip_norm": 0.05, "ema_decay": 0.3}),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_ten_steps_are_those_of_a_plain_loop(rate: float, settings: dict[str, Any]) -> None:
    ours = learner(**settings)
    for step, (loss, model, average) in enumerate(reference(rate, settings)):
        sums = ours.step(iter(batches(step)), rate)
        assert float(sums[0]) == pytest.approx(loss, rel=1e-5)
        for (name, mine), theirs in zip(ours.model.named_parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
        if ours.average is not None:
            for name, mine in ours.average.model.state_dict().items():
                if mine.is_floating_point():
                    torch.testing.assert_close(mine, average[name], rtol=1e-5, atol=1e-5)
    for mine, start in zip(ours.model.parameters(), network().parameters(), strict=True):
        assert (mine - start).abs().max() > 1e-3  # a step does something
    assert ours.lr == rate


def test_gradients_are_clipped_behind_the_scale_of_fp16() -> None:
    """The norm is that of the gradients themselves, whatever the loss is scaled by."""
    plain, scaled = learner(clip_norm=0.1), learner(clip_norm=0.1)
    scaled.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step in range(3):
        plain.step(iter(batches(step)), 0.1)
        scaled.step(iter(batches(step)), 0.1)
    for mine, theirs in zip(plain.model.parameters(), scaled.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_the_backbone_moves_by_its_part_of_the_rate() -> None:
    whole, part = learner(weight_decay=0.0), learner(weight_decay=0.0, backbone_lr=0.01)
    before = network().state_dict()
    for one in (whole, part):
        one.step(iter(batches(0)), 0.1)
    assert part.lr == 0.1
    assert torch.equal(whole.model.state_dict()["fc.weight"], part.model.state_dict()["fc.weight"])
    ways = [one.model.state_dict()["conv1.weight"] - before["conv1.weight"] for one in (whole, part)]
    torch.testing.assert_close(ways[1], ways[0] * 0.01, rtol=1e-2, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lamb"])
def test_a_learner_that_was_saved_goes_on_to_the_same_bits(optimizer: str, tmp_path: Any) -> None:
    settings: dict[str, Any] = {"optimizer": optimizer, "ema_decay": 0.9, "ema_every": 2}
    whole, second = learner(**settings), learner(**settings)
    for step in range(6):
        if step == 3:
            torch.save(whole.state_dict(), tmp_path / "state.pt")
            second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        whole.step(iter(batches(step)), 0.01)
        if step >= 3:
            second.step(iter(batches(step)), 0.01)
    assert whole.average is not None
    assert second.average is not None
    for one, other in ((whole.model, second.model), (whole.average.model, second.average.model)):
        for name, tensor in one.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name]), name


def test_another_optimizer_is_refused_and_none_told_is_sgd() -> None:
    told = learner().state_dict()
    with pytest.raises(UsageError, match=r"optim\.optimizer='lamb' cannot go on from a checkpoint of 'sgd'"):
        learner(optimizer="lamb").load_state_dict(told)
    del told["optimizer_kind"]
    learner().load_state_dict(told)
    with pytest.raises(UsageError, match="of 'sgd'"):
        learner(optimizer="adamw").load_state_dict(told)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lamb"])
def test_whatever_is_not_finite_in_the_state_is_seen(optimizer: str) -> None:
    one = learner(optimizer=optimizer, ema_decay=0.9)
    one.step(iter(batches(0)), 0.01)
    state = one.state_dict()
    assert divergence(state) is None
    moments = [value for told in state["optimizer"]["state"].values() for value in told.values()]
    for tensor in (*moments, state["average"]["model"]["bn1.running_var"], state["model"]["fc.bias"]):
        kept = tensor.clone()
        tensor.fill_(float("nan"))
        assert "is not finite" in str(divergence(state))
        tensor.copy_(kept)
    assert divergence(state) is None
