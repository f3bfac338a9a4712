"""Weights out of a file that somebody kept: ours, torchvision's, timm's; read as plain data, nothing in it is run."""

import argparse
import importlib
import io
import warnings
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError

# Where a state dict may lie, an average of the weights before the weights themselves, as timm takes them: in our
# checkpoints; in timm's and torchvision's; in model.pt and Lightning's.
PLACES = (
    ("trainer", "average", "model"),
    ("trainer", "model"),
    ("state_dict_ema",),
    ("model_ema",),
    ("state_dict",),
    ("model",),
    (),
)
WRAPPERS = ("module.", "model.", "ema_model.", "network.")  # DDP's and averages', Lightning's


def read_weights(url: str, options: storage.Options, names: set[str]) -> tuple[dict[str, Tensor], bool | None]:
    """Name to tensor, on the CPU, without the names of wrappers around the network that has these names; and whether
    their network blurs what it strides over, None where the file does not say: no name and no shape tells.

    Raises TarnError for a file that cannot be read, UsageError for one that holds no weights.
    """
    told = load(url, options)
    for place in PLACES:
        state = follow(told, place)
        if state:
            return unwrapped(state, names), blurs(told)
    raise UsageError(f"model.init={url} holds no weights by name: give a state dict, a checkpoint or a model.pt.")


def blurs(told: Any) -> bool | None:
    """Our checkpoints and models say so, of a network with blurs at least; other people's do not."""
    if not isinstance(told, Mapping) or not {"arch", "classes", "preprocessing"} <= told.keys():
        return None
    network = told.get("model")
    return bool(told.get("blurpool") or (isinstance(network, Mapping) and network.get("blurpool")))


def follow(told: Any, place: tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors by name that lie there; none where nothing does."""
    for key in place:
        told = told.get(key) if isinstance(told, Mapping) else None
    if not isinstance(told, Mapping):
        return {}
    return {name: value for name, value in told.items() if isinstance(name, str) and isinstance(value, Tensor)}


def unwrapped(state: dict[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    """torch.compile may have wrapped any part, the others wrap the whole; an average counts its updates beside."""
    state = {name.replace("_orig_mod.", ""): value for name, value in state.items() if name != "n_averaged"}
    while wrapper := next((each for each in WRAPPERS if wraps(each, state) and not wraps(each, names)), None):
        state = {name.removeprefix(wrapper): value for name, value in state.items()}
    return state


def wraps(wrapper: str, names: Collection[str]) -> bool:
    return all(name.startswith(wrapper) for name in names)


def load(url: str, options: storage.Options) -> Any:
    path = storage.local_path(url)
    if path is not None and not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise UsageError(f"model.init={url} {what}: give a checkpoint, a model.pt or a file of weights.")
    if url.partition("?")[0].endswith(".safetensors"):
        return load_safetensors(url, storage.read_bytes(url, options))
    source: Any = path if path is not None else io.BytesIO(storage.read_bytes(url, options))
    try:
        # Namespace: plain settings in torchvision's own checkpoints. torch warns of pickles before it refuses them.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings(action="ignore"):
            return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a foreign file
        reason = (str(error) or type(error).__name__).splitlines()[0].split(". ")[0][:160]
        raise UsageError(
            f"model.init={url} cannot be read as weights alone ({reason}): give a state dict saved by torch.save, a "
            ".safetensors file, or a checkpoint or model.pt of ours."
        ) from error


def load_safetensors(url: str, raw: bytes) -> Any:
    try:
        library = importlib.import_module("safetensors.torch")
    except ImportError as error:
        raise TarnError(
            f"model.init={url} needs safetensors, which is not here ({error}): pip install 'tarn-train[timm]'."
        ) from error
    try:
        return library.load(raw)
    except Exception as error:  # of the library's own kinds
        raise UsageError(f"model.init={url} is not a whole .safetensors file ({error}): copy it again.") from error
