"""What predict sees is what evaluate sees."""

import csv
import json
from pathlib import Path

import numpy as np

from tarn.inference import Predictor
from tarn.inference.__main__ import main as inference
from tarn.inference.sources.words import Sources
from tarn.sharding.format.manifest import read_manifest
from tarn.training.__main__ import main as training
from tarn.training.streaming.access import AccessConfig
from tarn.training.streaming.plan import eval_plan
from tarn.training.streaming.planned import PlannedLoader, start_crew
from tarn.training.world.world import joined_world


def test_pixels_and_logits_of_every_picture_are_those_of_evaluation(model: Path, shards: Path) -> None:
    predictor, manifest = Predictor.load(model, "cpu", orientation="ignore"), read_manifest(str(shards))
    pictures = [each for unit in Sources(words=[shards], split="val").units() for each in unit.open()]
    with joined_world("cpu") as world:
        how = predictor.card.preprocessing
        plan = eval_plan(str(shards), manifest, "val", how, world, 10, AccessConfig(cache="none").resolve(str(shards)))
        loader = PlannedLoader(plan, manifest, "val", start_crew(0))
        batches = [(batch.images.numpy().copy(), batch.labels.numpy().copy()) for batch in loader.batches(0)]
    ours = np.stack([predictor.prepare(picture) for picture in pictures])
    theirs = np.concatenate([images for images, _ in batches])
    assert len(pictures) == 40
    assert np.array_equal(ours, theirs)
    wnids = [manifest.classes[label].wnid for _, labels in batches for label in labels]
    assert [picture.label for picture in pictures] == wnids
    found = [guesses[0].index for first in range(0, 40, 10) for guesses in predictor.score(ours[first : first + 10])]
    assert found == [int(best) for images, _ in batches for best in predictor.scorer.logits(images).argmax(1)]


def test_predictions_of_a_packed_dataset_score_what_evaluate_scores(model: Path, shards: Path, tmp_path: Path) -> None:
    words = ["evaluate", f"--model={model}", f"--shards={shards}", f"--out={tmp_path}", "--workers=0", "--device=cpu"]
    assert training([*words, "--batch-size=10"]) == 0
    told = json.loads((tmp_path / "evaluation.json").read_text())
    results = tmp_path / "results.csv"
    words = ["predict", str(model), str(shards), "--split=val", f"--out={results}", "--orientation=ignore"]
    assert inference([*words, "--device=cpu", "--workers=1"]) == 0
    with results.open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = sum(row["label"] == row["index_1"] for row in rows)
    in_five = sum(row["label"] in [row[f"index_{place}"] for place in range(1, 6)] for row in rows)
    assert (right, in_five) == (round(told["top1"] * 40), round(told["top5"] * 40))
    assert 0 < right < 40
