"""The pictures that exported files are compared on: of a packed dataset, or noise where none is told."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.sharding.storage.told import TOLD
from tarn.training.evaluation.evaluate import check_classes
from tarn.training.export.artifact import Artifact
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.access import Access, AccessConfig
from tarn.training.streaming.holdout import hold_out
from tarn.training.streaming.plan import eval_plan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.streaming.subset import Holdout
from tarn.training.world.ranks import Ranks

CALIBRATION = 300  # training pictures; more change little (NNCF's own default)
SCORED = 2000  # pictures of the validation split, at most
BATCH = 50
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Trial:
    """pixels: N x crop x crop x 3. labels: N, None of noise. calibration: of the training split, for int8."""

    pixels: Pixels
    labels: NDArray[np.int64] | None = None
    calibration: Pixels | None = None


def noise(artifact: Artifact) -> Trial:
    side = artifact.preprocessing.crop
    return Trial(np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8))


def trial_of(
    artifact: Artifact, shards: str, split: str, most: int, look: Callable[[], object] = lambda: None
) -> Trial:
    """At most about `most` pictures of the split, drawn by their bytes, as the model is to see them.

    Raises TarnError for a dataset that cannot be read, or that numbers its classes otherwise.
    """
    store = TOLD.store
    manifest = read_manifest(shards, store.options)
    check_classes(artifact.classes, manifest.classes, "the model", shards)
    access = AccessConfig(storage_options=store.options, client=store.client, deadline=store.deadline).resolve(
        manifest.shards_root(shards)
    )
    how = artifact.preprocessing
    pixels, labels = drawn(shards, manifest, split, how, most, access, look)
    trained = next((name for name in manifest.splits if name != split), split)
    calibration, _ = drawn(shards, manifest, trained, how, CALIBRATION, access, look)
    return Trial(pixels, labels, calibration)


def drawn(
    shards: str,
    manifest: Manifest,
    split: str,
    how: Preprocessing,
    most: int,
    access: Access,
    look: Callable[[], object],
) -> tuple[Pixels, NDArray[np.int64]]:
    """As many, give or take their root: a sample is chosen by its picture's bytes, so shards may be sorted by class."""
    samples, subset = manifest.split(split).samples, None
    if most < samples:
        _, subset = hold_out(shards, manifest, Holdout(most / samples, split, split), access)
    plan = eval_plan(shards, manifest, split, how, Ranks(), BATCH, access, subset)
    loader = PlannedLoader(plan, manifest, split, start_crew(Ranks().cores()), device=torch.device("cpu"))
    pixels = np.empty((plan.samples, how.crop, how.crop, 3), np.uint8)
    labels = np.empty(plan.samples, np.int64)
    at = 0
    try:
        for batch in loader.batches(epoch=0):
            look()
            pixels[at : at + len(batch.labels)] = batch.images.numpy()
            labels[at : at + len(batch.labels)] = batch.labels.numpy()
            at += len(batch.labels)
    finally:
        for warning in loader.take_warnings():
            print(f"warning: {warning}", file=sys.stderr)
        loader.close()
    return pixels[:at], labels[:at]
