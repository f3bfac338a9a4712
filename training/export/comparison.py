"""Whether both files give the same logits, asked in a clean process.

python -m tarn.training.export.comparison MODEL.pt MODEL.pkl LOGITS
"""

import pickle
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from tarn.training.export.artifact import Artifact

TOLERANCE = 1e-5


def main(weights: Path, pickled: Path, expected: Path) -> None:
    """Raises SystemExit with one sentence where something differs."""
    wanted = torch.load(expected, weights_only=True)
    artifact = Artifact.read(weights)
    with pickled.open("rb") as file:
        module = pickle.load(file)
    for name, model in (("model.pt", artifact.build()), ("model.pkl", module)):
        if model.training:
            raise SystemExit(f"{name} is not in eval mode")
        if any(tensor.device.type != "cpu" for tensor in model.state_dict().values()):
            raise SystemExit(f"{name} is not on the CPU")
        found = logits(model, artifact.preprocessing.crop)
        if not torch.allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE):
            raise SystemExit(f"{name} gives logits that differ by up to {(found - wanted).abs().max():.3g}")
    theirs = module.state_dict()
    if theirs.keys() != artifact.state_dict.keys():
        raise SystemExit("model.pt and model.pkl hold different tensors")
    for name, tensor in artifact.state_dict.items():
        if not torch.equal(tensor, theirs[name]):
            raise SystemExit(f"{name} differs between model.pt and model.pkl")


def logits(model: nn.Module, side: int) -> Tensor:
    """Of a fixed batch of two pictures' worth of normal noise; on one thread, so that every process adds up alike."""
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return model(images).clone()  # type: ignore[no-any-return]
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:]))
