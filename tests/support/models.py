"""Small exported models, and the validation pictures of the drawn dataset that they are asked about."""

from pathlib import Path

from tarn.sharding.format.manifest import read_manifest
from tarn.training.export.artifact import Artifact
from tarn.training.export.publish import publish
from tarn.training.model.resnet import build_model
from tarn.training.pixels.preprocessing import Preprocessing


def export_model(shards: Path, folder: Path) -> Path:
    """A ResNet-18 with random weights for the classes of a packed dataset, 64 px; model.pt, and model.pkl beside it."""
    artifact = Artifact(
        arch="resnet18",
        small_stem=False,
        classes=read_manifest(str(shards)).classes,
        preprocessing=Preprocessing(resize=72, crop=64),
        provenance={},
        state_dict=build_model("resnet18", 10, seed=1).state_dict(),
    )
    return publish(artifact, folder)[0]


def val(pictures: Path, number: int) -> Path:
    """One of 40, counted from 1."""
    return pictures / "ILSVRC" / "Data" / "CLS-LOC" / "val" / f"ILSVRC2012_val_{number:08d}.JPEG"
