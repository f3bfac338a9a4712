"""What a run tells about its configuration: how it differs from the last start's, and what is worth a word in it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tarn.sharding.errors import TarnError
from tarn.sharding.storage.local import write_whole
from tarn.sharding.values import as_told
from tarn.training.coercion import build, to_yaml
from tarn.training.recipe.optim import OptimConfig
from tarn.training.recipe.schedule import learning_rate
from tarn.training.run.config import RunConfig
from tarn.training.run.journal import Journal

# A complete run is scored and exported as it is told now.
OF_THE_END = ("export=", "export_formats=", "eval_flip=", "data.val_split=")


def keep_config(config: RunConfig, journal: Journal, is_complete: bool) -> None:
    """config.yaml, the merged configuration; what changed since an earlier start of the run is told. That of a complete
    run stays, for it is its model's."""
    path, text = Path(config.out, "config.yaml"), to_yaml(config)
    before = earlier(path)
    if before:
        told = changes(flat(before), flat(yaml.safe_load(text)))
        changed = "; ".join(word for word in told if not (is_complete and word.startswith(OF_THE_END)))
        if changed and is_complete:
            journal.say(f"The run is complete with the configuration in {path}: it stays, not used is {changed}.")
        elif changed:
            journal.say(f"The configuration changed since this run was last started: now {changed}.")
    if not (is_complete and path.exists()):
        write_whole(path, text)


def settled(config: RunConfig) -> RunConfig:
    """With the number that data.eval_resize=null stands for: what the run was begun with, as long as its crop is the
    same, so that all its validations see alike. config.yaml then says it."""
    if config.data.eval_resize is not None:
        return config
    crop, before = config.data.preprocessing, earlier(Path(config.out, "config.yaml")).get("data")
    resize = crop.resize
    if isinstance(before, dict) and (before.get("eval_crop") or before.get("image_size")) == crop.crop:
        told = before.get("eval_resize")
        resize = told if type(told) is int and told >= crop.crop else resize
    return replace(config, data=replace(config.data, eval_resize=resize))


def earlier(path: Path) -> dict[str, Any]:
    """What an earlier start wrote; nothing where there was none, or somebody made something else of it."""
    try:
        told = yaml.safe_load(path.read_text("utf-8")) if path.exists() else None
    except yaml.YAMLError:
        return {}
    return told if isinstance(told, dict) else {}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}={as_told(now.get(key))} (was {as_told(before[key]) if key in before else 'not set'})"
        for key in dict.fromkeys((*now, *before))
        if before.get(key) != now.get(key) and key != "out"  # a folder may be moved, or named in another way
    ]


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"optim.lr": 0.1, ...}"""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def rate_jump(told: str, now: OptimConfig, step: int, steps_per_epoch: int) -> str | None:
    """One sentence where the schedule of the checkpoint's configuration, YAML, would go on with another rate."""
    try:
        before = build(OptimConfig, yaml.safe_load(told).get("optim", {}), "optim.", "the checkpoint")
    except (TarnError, yaml.YAMLError, AttributeError):
        return None
    old, new = (learning_rate(config, step, steps_per_epoch) for config in (before, now))
    if abs(new - old) <= 0.02 * max(abs(old), abs(new)):
        return None
    return (
        f"The learning rate goes on at {new:.4g}, where the earlier configuration has {old:.4g} "
        f"(optim.epochs={now.epochs}, was {before.epochs}; optim.lr={now.lr}, was {before.lr})."
    )


def warm_up_note(config: OptimConfig, steps_per_epoch: int, last_step: int) -> str | None:
    """One sentence where the run ends before its learning rate has risen."""
    if config.warmup_epochs * steps_per_epoch < last_step:
        return None
    highest = learning_rate(config, max(0, last_step - 1), steps_per_epoch)
    return (
        f"The warm-up of optim.warmup_epochs={config.warmup_epochs} is as long as the run or longer: the learning rate "
        f"rises to {highest:.4g} and never reaches its peak of {config.peak_lr:.4g}."
    )


def growth_note(config: RunConfig) -> str | None:
    """Where the run ends before its pictures have grown."""
    growth, epochs = config.data.growth, config.optim.epochs
    if growth is None or growth.size(epochs - 1) == growth.last:
        return None
    return (
        f"data.ramp={[growth.begin, growth.end]} ends behind the last of {epochs} epochs (optim.epochs), so "
        f"pictures grow to {growth.size(epochs - 1)} px and never to data.image_size={growth.last}."
    )
