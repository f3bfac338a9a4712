"""Exact top-1, top-5 and loss: every picture of a split exactly once, on any number of ranks."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.storage.local import write_whole
from tarn.training.evaluation.fitting import Fitting
from tarn.training.pixels.normalisation import Normalisation
from tarn.training.streaming.iteration import EpochIteration
from tarn.training.world.numerics import full_float32
from tarn.training.world.world import World


@dataclass(frozen=True, slots=True)
class Score:
    """counts: classes x 3 int64 (pictures, top-1 hits, top-5 hits) of each true class; loss_sum: over all pictures."""

    counts: Tensor
    loss_sum: float

    @property
    def samples(self) -> int:
        return int(self.counts[:, 0].sum())

    @property
    def top1(self) -> float:
        return int(self.counts[:, 1].sum()) / self.samples

    @property
    def top5(self) -> float:
        return int(self.counts[:, 2].sum()) / self.samples

    @property
    def loss(self) -> float:
        return self.loss_sum / self.samples

    @property
    def is_finite(self) -> bool:
        """Where not, the hits are no score either."""
        return math.isfinite(self.loss_sum)


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    loader: EpochIteration,
    world: World,
    num_classes: int,
    dtype: torch.dtype | None = None,
    progress: Callable[[int], object] = lambda images: None,
    look: Callable[[], object] = lambda: None,
) -> Score:
    """Scores a model in eval mode; the same on every rank. top-5 means top-n where there are n < 5 classes.

    look: called by all ranks before each of their batches, of which all have as many; what it raises ends the
    evaluation. Raises TarnError where the pictures seen are not as many as were promised, for each was to be seen once.
    """
    was_training = model.training
    model.eval()
    counts = torch.zeros(num_classes, 3, dtype=torch.int64, device=world.device)
    loss_sum = torch.zeros((), dtype=world.precise, device=world.device)
    normalisation = Normalisation(loader.plan.preprocessing.mean, loader.plan.preprocessing.std).to(world.device)
    fitting = Fitting()
    look()
    for batch in loader.batches(epoch=0):
        look()
        if not len(batch.labels):
            continue  # the last global batch had too few for this rank
        labels = batch.labels.to(world.device, non_blocking=True)
        images = normalisation(batch.images.to(world.device, non_blocking=True))
        with full_float32(), torch.autocast(world.device.type, dtype=dtype, enabled=dtype is not None):
            logits = fitting.logits(model, images)
        counts.index_add_(0, labels, hits(logits, labels))
        loss_sum += functional.cross_entropy(logits.float(), labels, reduction="none").to(world.precise).sum()
        progress(len(labels) * world.size)
    model.train(was_training)
    counts, loss_sum = world.sum(counts), world.sum(loss_sum)
    score = Score(counts.cpu(), float(loss_sum))
    if score.samples != loader.plan.samples:
        raise TarnError(f"{score.samples} pictures were evaluated, {loader.plan.promise}.")
    return score


def hits(logits: Tensor, labels: Tensor) -> Tensor:
    """n x 3 int64 of 1 (the picture), whether top-1, whether top-5 holds its label."""
    best = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    return torch.stack([torch.ones_like(labels), best[:, 0].long(), best.any(dim=1).long()], dim=1)


def per_class_csv(score: Score, classes: Sequence[ClassInfo]) -> str:
    """One line a class: index, wnid, name, samples, top1, top5 (fractions; empty where there is no picture)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["index", "wnid", "name", "samples", "top1", "top5"])
    for index, (info, (samples, top1, top5)) in enumerate(zip(classes, score.counts.tolist(), strict=True)):
        shares = [f"{hit / samples:.6f}" if samples else "" for hit in (top1, top5)]
        writer.writerow([index, info.wnid, info.name, samples, *shares])
    return out.getvalue()


def write_report(
    folder: Path, score: Score, classes: Sequence[ClassInfo], context: dict[str, object], name: str = "evaluation"
) -> Path:
    """<name>.json and <name>-per-class.csv in the folder. Returns the path of the first.

    Raises TarnError for what is no score: a loss that is not finite. Nothing is written then.
    """
    if not score.is_finite:
        raise TarnError(
            f"the loss over {score.samples} pictures is {score.loss}, which is no score: the weights have diverged, or "
            "half precision overflows; train with a lower optim.lr, or evaluate in full precision."
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{name}-per-class.csv", per_class_csv(score, classes))
    report = {
        **context,
        "samples": score.samples,
        "top1": score.top1,
        "top5": score.top5,
        "loss": score.loss,
        "top1_count": int(score.counts[:, 1].sum()),
        "top5_count": int(score.counts[:, 2].sum()),
    }
    write_whole(folder / f"{name}.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return folder / f"{name}.json"


def check_classes(ours: Sequence[ClassInfo], theirs: Sequence[ClassInfo], model: str, shards: str) -> None:
    """Raises TarnError where model and dataset do not number the same classes alike."""
    for index, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        if mine.wnid != other.wnid:
            raise TarnError(
                f"class {index} is {mine.wnid!r} in {model} and {other.wnid!r} in {shards}: "
                "evaluate on a dataset packed with the classes of the training."
            )
    if len(ours) != len(theirs):
        raise TarnError(
            f"{model} knows {len(ours)} classes, {shards} has {len(theirs)}: "
            "evaluate on a dataset packed with the classes of the training."
        )
