"""Evaluation of a model on a packed dataset."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from tarn.sharding.format.manifest import ClassInfo, read_manifest
from tarn.sharding.storage.told import TOLD
from tarn.training.evaluation.evaluate import check_classes, evaluate, write_report
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.access import AccessConfig
from tarn.training.streaming.plan import eval_plan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.world.world import joined_world


def score_model(
    args: argparse.Namespace,
    model: nn.Module,
    classes: Sequence[ClassInfo],
    crop: Preprocessing,
    dtype_on: Callable[[torch.device], torch.dtype | None],
    progress: Callable[[int], object],
) -> dict[str, object]:
    """Scores and writes the reports; on rank 0 returns what evaluation.json says, elsewhere nothing.

    dtype_on: the autocast type on a device. Raises TarnError for a dataset that cannot be read or does not belong to
    the model.
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
        plan = eval_plan(args.shards, manifest, args.split, crop, world, args.batch_size, access)
        model = model.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        dtype = dtype_on(world.device)
        pin = world.device.type == "cuda"
        loader = PlannedLoader(plan, manifest, args.split, start_crew(workers), pin_memory=pin, device=world.device)
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
        "split": args.split,
        "fingerprint": manifest.fingerprint(args.split),
    }
    sizes = f"{crop.crop}px-of-{crop.resize}px" if args.image_size or args.resize else ""
    if sizes:
        context |= {"image_size": crop.crop, "resize": crop.resize}
    if args.flip:
        context["flip"] = True
    # a run's own evaluation.json tells of its validation split, seen as in training: all else stands beside it
    others = ("" if args.split == "val" else args.split, sizes, "flip" if args.flip else "")
    name = "evaluation" if args.out else "-".join(filter(None, ("evaluation", *others)))
    path = write_report(args.out or args.model.parent, score, classes, context, name)
    return dict(json.loads(Path(path).read_text("utf-8")))
