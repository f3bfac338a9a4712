"""From a model file to what scores pictures."""

import os
from dataclasses import replace

from tarn.inference.models.scorer import Scorer
from tarn.inference.models.torch_scorer import TorchScorer
from tarn.inference.models.weights import read_weights
from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.training.model.mirror import seen_at
from tarn.training.world.world import choose_device


def load(
    model: str | os.PathLike[str],
    device: str = "auto",
    crop: int | None = None,
    resize: int | None = None,
    flip: bool = False,
) -> Scorer:
    """device: auto, cpu, cuda or mps. crop, resize: px of the pictures where they are not to be the model's own, see
    Preprocessing.at. flip: the mean of the logits of each picture and its mirror image.

    Raises TarnError for a file that is no model, is cut, or wants more than it may, UsageError for what it cannot do.
    """
    path = storage.local_path(model)
    if path is None:
        raise UsageError(f"{model} is a URL: copy the model to a disk and give its path.")
    artifact = read_weights(path)
    network = artifact.build(str(path))
    card = replace(artifact, preprocessing=artifact.preprocessing.at(crop, resize))
    return TorchScorer(seen_at(network, card.num_classes, crop, flip), card, choose_device(device, 0))
