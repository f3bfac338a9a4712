"""Evaluation of an exported model on a packed dataset."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.training.evaluation.evaluate import check_classes, evaluate, write_report
from tarn.training.export.artifact import Artifact
from tarn.training.recipe.amp import choose_dtype
from tarn.training.streaming.access import DEADLINE, resolve_access
from tarn.training.streaming.loader import ShardLoader
from tarn.training.streaming.plan import eval_plan
from tarn.training.world.world import joined_world


def score_model(args: argparse.Namespace, progress: Callable[[int], object]) -> dict[str, object]:
    """Scores and writes the reports; on rank 0 returns what evaluation.json says, elsewhere nothing.

    Raises TarnError for a model or dataset that cannot be read or that do not belong together.
    """
    if args.batch_size < 1 or (args.workers is not None and args.workers < 0):
        raise UsageError(f"--batch-size={args.batch_size} must be at least 1 and --workers={args.workers} at least 0.")
    artifact, manifest = Artifact.read(args.model), read_manifest(args.shards)
    check_classes(artifact.classes, manifest.classes, str(args.model), args.shards)
    with joined_world(args.device) as world:
        workers = args.workers if args.workers is not None else world.cores()
        access = resolve_access(manifest.shards_root(args.shards), {}, "auto", args.cache, args.cache_limit, DEADLINE)
        plan = eval_plan(args.shards, manifest, args.split, artifact.preprocessing, world, args.batch_size, access)
        model = artifact.build().to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        dtype = choose_dtype(args.amp, world.device)
        pin = world.device.type == "cuda"
        loader = ShardLoader.of_plan(plan, manifest, args.split, workers, pin, device=world.device)
        score = evaluate(model, loader, world, artifact.num_classes, dtype, progress)
        if not world.is_main:
            return {}
    context = {
        "model": str(args.model),
        "shards": args.shards,
        "split": args.split,
        "fingerprint": manifest.fingerprint(args.split),
    }
    path = write_report(args.out or args.model.parent, score, artifact.classes, context)
    return dict(json.loads(Path(path).read_text("utf-8")))
