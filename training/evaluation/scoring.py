"""Evaluation of a model on a packed dataset."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tarn.sharding.format.manifest import ClassInfo, Manifest, read_manifest
from tarn.sharding.storage.told import TOLD
from tarn.training.evaluation.evaluate import check_classes, evaluate, write_report
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.access import AccessConfig
from tarn.training.streaming.holdout import hold_out, told_by
from tarn.training.streaming.plan import eval_plan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.streaming.subset import Holdout
from tarn.training.world.world import joined_world


def score_model(
    args: argparse.Namespace,
    model: nn.Module,
    classes: Sequence[ClassInfo],
    crop: Preprocessing,
    provenance: Mapping[str, Any],
    dtype_on: Callable[[torch.device], torch.dtype | None],
    progress: Callable[[int], object],
) -> dict[str, object]:
    """Scores and writes the reports; on rank 0 returns what evaluation.json says, elsewhere nothing.

    provenance: of the model, which tells whether its run held pictures out of its training split (holdout.py): those
    stand in for the run's validation split. dtype_on: the autocast type on a device. Raises TarnError for a dataset
    that cannot be read or does not belong to the model.
    """
    store = TOLD.store
    manifest = read_manifest(args.shards, store.options)
    check_classes(classes, manifest.classes, str(args.model), args.shards)
    with joined_world(args.device) as world:
        workers = args.workers if args.workers is not None else world.cores()
        access = AccessConfig(
            storage_options=store.options,
            client=store.client,
            cache=args.cache,
            cache_limit=args.cache_limit,
            deadline=store.deadline,
        ).resolve(manifest.shards_root(args.shards))
        held_out = chosen(args, manifest, provenance)
        split, subset = held_out.split if held_out else args.split, None
        if held_out:
            left, subset = hold_out(args.shards, manifest, held_out, access)
        plan = eval_plan(args.shards, manifest, split, crop, world, args.batch_size, access, subset)
        if held_out and world.is_main:
            warn_of_others(replace(plan, subset=left).fingerprint(manifest, split), provenance, args)
        model = model.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        dtype = dtype_on(world.device)
        pin = world.device.type == "cuda"
        loader = PlannedLoader(plan, manifest, split, start_crew(workers), pin_memory=pin, device=world.device)
        try:
            score = evaluate(model, loader, world, len(classes), dtype, progress)
        finally:
            for warning in loader.take_warnings():
                print(f"warning: {warning}", file=sys.stderr)
            loader.close()
        if not world.is_main:
            return {}
    context: dict[str, object] = {
        "model": str(args.model),
        "shards": args.shards,
        "split": held_out.name if held_out else split,
        "fingerprint": plan.fingerprint(manifest, split),
    }
    if args.image_size or args.resize:
        context |= {"image_size": crop.crop, "resize": crop.resize}
    if args.flip:
        context["flip"] = True
    path = write_report(args.out or args.model.parent, score, classes, context, name_of(args, crop))
    return dict(json.loads(Path(path).read_text("utf-8")))


def name_of(args: argparse.Namespace, crop: Preprocessing) -> str:
    """Of the reports. A run's own evaluation.json tells of its validation split, seen as in training: all else stands
    beside it."""
    if args.out:
        return "evaluation"
    sizes = f"{crop.crop}px-of-{crop.resize}px" if args.image_size or args.resize else ""
    others = list(filter(None, ("" if args.split == "val" else args.split, sizes, "flip" if args.flip else "")))
    if not others and is_of_a_run(args.model.parent / "evaluation.json"):
        others = [args.split]
    return "-".join(("evaluation", *others))


def is_of_a_run(report: Path) -> bool:
    """Whether it is what a run wrote at its end, which tells the checkpoint."""
    try:
        return "checkpoint" in json.loads(report.read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def warn_of_others(fingerprint: str, provenance: Mapping[str, Any], args: argparse.Namespace) -> None:
    """Where other bytes are drawn from than those that the run left to train on."""
    if provenance.get("dataset") not in (None, fingerprint):
        print(
            f"warning: {args.model} was not trained on these shards, {args.shards}: where they were packed with other "
            "options (--no-tile, --max-side and the like), other pictures are held out, and the model may have seen "
            "some of those that are scored here.",
            file=sys.stderr,
        )


def chosen(args: argparse.Namespace, manifest: Manifest, provenance: Mapping[str, Any]) -> Holdout | None:
    """What stands in for the split asked for: what --val-fraction tells, or the model's own run; None: nothing does."""
    told = told_by(provenance)
    if args.val_fraction is not None:
        return Holdout(args.val_fraction, told.split if told else "train", args.split)
    return told if told and told.val_split == args.split and args.split not in manifest.splits else None
