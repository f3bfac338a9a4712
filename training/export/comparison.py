"""The logits that exported files give, asked in a clean process.

python -m tarn.training.export.comparison PIXELS.npy FORMAT FILE LOGITS.npy [FORMAT FILE LOGITS.npy ...]

Files for other runtimes are read without torch. A file is read by what anybody would read it with.
"""

import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.cores import available_cores
from tarn.sharding.errors import TarnError
from tarn.training.export.formats import FORMATS

AT_ONCE = 32
EXACT = 64  # pictures for formats that must come as near as float32 does; those of less are scored on all
Model = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def main(pixels: str, *words: str) -> None:
    """Raises SystemExit with one sentence where a file is not what it should be."""
    pictures = np.load(pixels, mmap_mode="r")
    for name, path, out in zip(words[::3], words[1::3], words[2::3], strict=True):
        few = pictures[:EXACT] if FORMATS[name].tolerance is not None else pictures
        try:
            found = logits(READERS[name](Path(path)), few)
        except TarnError as error:
            raise SystemExit(str(error)) from error
        np.save(out, found)


def logits(model: Model, pictures: Any) -> NDArray[np.float32]:
    """N x classes, in batches of the same sizes whoever asks."""
    parts = [np.asarray(pictures[first : first + AT_ONCE]) for first in range(0, len(pictures), AT_ONCE)]
    return np.concatenate([model(part) for part in parts])


def read_pt(path: Path) -> Model:
    from tarn.training.export.artifact import Artifact

    artifact = Artifact.read(path)
    return computed(artifact.build(), artifact.preprocessing, path)


def read_pkl(path: Path) -> Model:
    from tarn.training.export.card import Card

    with path.open("rb") as file:
        module = pickle.load(file)
    return computed(module, Card.from_metadata(getattr(module, "tarn", None), "model.pkl").preprocessing, path)


def read_safetensors(path: Path) -> Model:
    from tarn.training.export import safetensors_file

    artifact = safetensors_file.read(path)
    return computed(artifact.build(), artifact.preprocessing, path)


def read_pt2(path: Path) -> Model:
    import torch

    from tarn.training.world.numerics import compute_threads

    model = torch.export.load(path).module()

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad(), compute_threads(threads()):
            return model(torch.from_numpy(pixels)).numpy()  # type: ignore[no-any-return]

    return run


def read_onnx(path: Path) -> Model:
    from tarn.training.export.onnx_session import OnnxSession

    return OnnxSession(path).logits


def read_openvino(path: Path) -> Model:
    from tarn.training.export.openvino_session import OpenvinoSession

    return OpenvinoSession(path).logits


def computed(model: Any, how: Any, path: Path) -> Model:
    """By PyTorch on the CPU, by as many threads wherever it is asked, so that every process adds up alike. Raises
    SystemExit for a module that was not left as one uses it."""
    import torch

    from tarn.training.pixels.normalisation import Normalisation
    from tarn.training.world.numerics import compute_threads

    if model.training:
        raise SystemExit(f"{path.name} is not in eval mode")
    if any(tensor.device.type != "cpu" for tensor in model.state_dict().values()):
        raise SystemExit(f"{path.name} is not on the CPU")
    normalisation = Normalisation(how.mean, how.std)

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode(), compute_threads(threads()):
            return model(normalisation(torch.from_numpy(pixels))).numpy()  # type: ignore[no-any-return]

    return run


def threads() -> int:
    """As many as OpenMP is told to use, else as there are cores."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() and int(told) > 0 else available_cores()


READERS: dict[str, Callable[[Path], Model]] = {
    "pt": read_pt,
    "pkl": read_pkl,
    "safetensors": read_safetensors,
    "pt2": read_pt2,
    "onnx": read_onnx,
    "openvino-bf16": read_openvino,
    "openvino-int8": read_openvino,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
