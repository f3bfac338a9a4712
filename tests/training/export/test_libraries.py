"""Exported networks of torchvision and timm."""

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tarn.inference.models.weights import read_weights
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.export.artifact import Artifact
from tarn.training.export.publish import publish
from tarn.training.model.network import Network
from tarn.training.pixels.preprocessing import Preprocessing

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")


def export(arch: str, folder: Path) -> tuple[Path, Path]:
    network = Network(arch=arch, num_classes=5, side=64)
    artifact = Artifact(
        arch=arch,
        small_stem=False,
        classes=tuple(ClassInfo(f"n{label}", f"name {label}") for label in range(5)),
        preprocessing=Preprocessing(resize=72, crop=64),
        provenance={"step": 3},
        state_dict=network.build(seed=4).state_dict(),
    )
    return publish(artifact, folder)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "regnet_y_400mf"])
def test_an_exported_network_of_torchvision_gives_torchvisions_own_logits(name: str, tmp_path: Path) -> None:
    import torchvision

    pt, pkl = export(f"torchvision/{name}", tmp_path)
    theirs = torchvision.models.get_model(name, weights=None, num_classes=5).eval()
    theirs.load_state_dict(torch.load(pt, weights_only=True)["state_dict"], strict=True)
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = theirs(images)
        for model in (read_weights(pt).build(), read_weights(pkl).build(), pickle.loads(pkl.read_bytes())):
            assert type(model) is type(theirs)
            assert not model.training
            assert torch.equal(model(images), wanted)
    assert read_weights(pt).classes == read_weights(pkl).classes


@needs_timm
def test_an_exported_network_of_timm_gives_timms_own_logits_at_its_size(tmp_path: Path) -> None:
    import timm

    pt, pkl = export("timm/test_vit", tmp_path)  # made for 160 px, exported for 64
    theirs = timm.create_model("test_vit", num_classes=5, img_size=64).eval()
    theirs.load_state_dict(torch.load(pt, weights_only=True)["state_dict"], strict=True)
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for path in (pt, pkl):
            assert torch.equal(read_weights(path).build()(images), theirs(images))


@needs_timm
def test_where_timm_is_missing_either_file_says_so_in_one_sentence(tmp_path: Path) -> None:
    pt, pkl = export("timm/test_vit", tmp_path)
    code = (
        "import sys; sys.modules['timm'] = None; from tarn.inference.__main__ import main;"
        "picture = sys.argv.pop(); sys.exit(sum(main(['predict', model, picture]) for model in sys.argv[1:]))"
    )
    (tmp_path / "picture.jpg").write_bytes(b"")
    words = [sys.executable, "-c", code, str(pt), str(pkl), str(tmp_path / "picture.jpg")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2  # 1 for each
    assert done.stdout == ""
    assert [
        "error: " in line and path.name in line and "pip install --editable '.[timm]'" in line
        for line, path in zip(done.stderr.splitlines(), (pt, pkl), strict=True)
    ] == [True, True]


def test_a_pickle_that_names_a_network_and_brings_something_else_is_refused(tmp_path: Path) -> None:
    pt, pkl = export("torchvision/squeezenet1_1", tmp_path)
    raw = pkl.read_bytes()
    assert b"torchvision.models" not in raw  # a name and weights, no class of theirs
    assert b"torchvision/squeezenet1_1" in raw
    (tmp_path / "other.pkl").write_bytes(raw.replace(b"squeezenet1_1", b"squeezenet9_9"))
    with pytest.raises(TarnError, match=r"other\.pkl cannot be built: .*unknown to torchvision"):
        read_weights(tmp_path / "other.pkl").build("other.pkl")
    (tmp_path / "wrong.pkl").write_bytes(raw.replace(b"squeezenet1_1", b"squeezenet1_0"))
    with pytest.raises(TarnError, match=r"wrong\.pkl has weights that do not fit torchvision/squeezenet1_0"):
        read_weights(tmp_path / "wrong.pkl").build("wrong.pkl")
    assert Artifact.read(pt).arch == "torchvision/squeezenet1_1"
