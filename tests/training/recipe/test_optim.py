import warnings

import pytest
import torch
import torchvision

from tarn.training.model.resnet import build_model
from tarn.training.recipe.lamb import Lamb
from tarn.training.recipe.optim import OptimConfig
from tarn.training.recipe.optimizers import build_optimizer, rate_of, set_rate
from tarn.training.recipe.schedule import Plateau, learning_rate


def test_norms_and_biases_are_not_decayed_unless_asked() -> None:
    model = build_model("resnet18", 10, seed=0)
    decayed, others = build_optimizer(model, OptimConfig(weight_decay=0.1)).param_groups
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in others["params"]} == {1}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    (everything,) = build_optimizer(model, OptimConfig(decay_norms=True)).param_groups
    assert len(everything["params"]) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("name", "kind", "eps"), [("sgd", torch.optim.SGD, None), ("adamw", torch.optim.AdamW, 1e-8), ("lamb", Lamb, 1e-6)]
)
def test_an_optimizer_is_built_by_name_with_its_settings(
    name: str, kind: type[torch.optim.Optimizer], eps: float | None
) -> None:
    model = build_model("resnet18", 10, seed=0)
    config = OptimConfig(optimizer=name, betas=(0.8, 0.95), weight_decay=0.05, lr=0.003)
    optimizer = build_optimizer(model, config)
    assert type(optimizer) is kind
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.05, 0.0]
    for group in optimizer.param_groups:
        assert (group.get("eps"), group["lr"]) == (eps, 0.003)
        assert group["betas"] == (0.8, 0.95) if eps else group["momentum"] == 0.9
    told = build_optimizer(model, OptimConfig(optimizer=name, eps=0.01)).param_groups[0]
    assert told.get("eps") == (0.01 if eps else None)


def test_the_backbone_learns_at_its_part_of_the_rate_and_frozen_parameters_not_at_all() -> None:
    model = build_model("resnet18", 10, seed=0)
    model.layer1.requires_grad_(False)
    head = ("fc.weight", "fc.bias")
    optimizer = build_optimizer(model, OptimConfig(backbone_lr=0.1, weight_decay=0.5), head)
    set_rate(optimizer, 0.3)
    rates = {name: group["lr"] for group in optimizer.param_groups for name in group["param_names"]}
    decays = {name: group["weight_decay"] for group in optimizer.param_groups for name in group["param_names"]}
    assert rates == {
        name: 0.3 if name in head else pytest.approx(0.03)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    assert not any(name.startswith("layer1") for name in rates)
    assert {decays[name] for name in rates} == {0.5, 0.0}
    assert (decays["fc.weight"], decays["fc.bias"], decays["conv1.weight"], decays["bn1.bias"]) == (0.5, 0, 0.5, 0)
    assert rate_of(optimizer) == 0.3


def test_cosine_rises_to_the_peak_and_falls_to_the_end() -> None:
    config = OptimConfig(epochs=10, lr=1.0, warmup_epochs=2, lr_end=0.01)
    rates = [learning_rate(config, step, 100) for step in range(1000)]
    assert rates[:200] == sorted(rates[:200])
    assert rates[200] == 1.0 == max(rates)
    assert rates[200:] == sorted(rates[200:], reverse=True)
    assert rates[600] == pytest.approx(0.505)
    assert rates[-1] == pytest.approx(0.01, abs=1e-4)


def test_step_schedule_drops_every_so_many_epochs() -> None:
    config = OptimConfig(schedule="step", lr=0.1, warmup_epochs=0, step_epochs=30, factor=0.1)
    assert [learning_rate(config, epoch * 7, 7) for epoch in (0, 29, 30, 60)] == pytest.approx([0.1, 0.1, 0.01, 0.001])


def test_the_rate_grows_linearly_with_the_batch_where_asked() -> None:
    assert OptimConfig(lr=0.1, lr_for_batch=256, global_batch=1024).peak_lr == pytest.approx(0.4)


def test_plateau_drops_exactly_where_torch_does() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3)
    ours = Plateau(factor=0.5, patience=3)
    generator, loss = torch.Generator().manual_seed(1), 5.0
    for _ in range(300):
        loss = loss * 0.999 + float(torch.randn((), generator=generator)) * 0.05
        with warnings.catch_warnings(action="ignore"):
            theirs.step(loss)
        ours.observe(loss)
        assert ours.multiplier == pytest.approx(optimizer.param_groups[0]["lr"], abs=2e-8)  # torch stops at 1e-8
    assert ours.multiplier < 0.1


def test_embeddings_of_places_and_biases_of_several_dimensions_are_not_decayed() -> None:
    models = torchvision.models
    networks = (
        (models.VisionTransformer(32, 16, 1, 2, 16, 16, num_classes=5), {"class_token", "encoder.pos_embedding"}),
        (
            models.SwinTransformer([4, 4], 8, [2], [1], [2, 2], num_classes=5),
            {f"features.1.{at}.attn.relative_position_bias_table" for at in (0, 1)},
        ),
    )
    for network, spared in networks:
        decayed, others = build_optimizer(network, OptimConfig(weight_decay=0.1)).param_groups
        assert spared <= set(others["param_names"])
        assert all(network.get_parameter(name).ndim == 1 for name in set(others["param_names"]) - spared)
        assert all(network.get_parameter(name).ndim > 1 for name in decayed["param_names"])


def test_what_timm_says_is_not_decayed_is_not() -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    network = timm.create_model("test_vit", num_classes=5)
    decayed, others = build_optimizer(network, OptimConfig(weight_decay=0.1)).param_groups
    assert network.no_weight_decay() & dict(network.named_parameters()).keys() <= set(others["param_names"])
    assert "pos_embed" in others["param_names"]
    assert "patch_embed.proj.weight" in decayed["param_names"]
