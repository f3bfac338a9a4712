"""Why a class: where in the picture the network looked.

R. R. Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization" (arXiv
1610.02391).
"""

import io
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tarn.inference.models.scorer import Scorer
from tarn.sharding.errors import UsageError

STRENGTH = 0.55  # of the heat over the picture, at most


def heat(scorer: Scorer, pixels: NDArray[np.uint8], index: int) -> NDArray[np.float32]:
    """Of H x W x 3 pixels and a class: H' x W', from 0 to 1, as many rows and columns as the last feature maps have.

    Raises UsageError for a network whose layers cannot be listened to, or that has no feature maps.
    """
    if not explains(scorer):
        raise UsageError("a model for ONNX Runtime or OpenVINO does not tell where it looked: serve its model.pt.")
    return heat_of(scorer, pixels, index)


def explains(scorer: Scorer) -> bool:
    """Whether PyTorch computes it: its layers alone can be listened to. Imports no torch for that."""
    module = sys.modules.get("tarn.inference.models.torch_scorer")
    return module is not None and isinstance(scorer, module.TorchScorer)


def heat_of(scorer: Any, pixels: NDArray[np.uint8], index: int) -> NDArray[np.float32]:
    import torch

    last: list[Any] = []

    def keep(layer: Any, inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4 and output.requires_grad and output.shape[2] > 1:
            last[:] = [output]

    hooks = [layer.register_forward_hook(keep) for layer in scorer.model.modules()]
    try:
        with torch.inference_mode(False), torch.enable_grad():
            images = scorer.normalisation(torch.from_numpy(pixels[None].copy()).to(scorer.device))
            logits = scorer.model(images.requires_grad_())
            if not last:
                raise UsageError("this network has no feature maps, which would tell where it looked.")
            (gradient,) = torch.autograd.grad(logits[0, index], last[0])
            weights = gradient.float().mean((2, 3), keepdim=True)
            found = (weights * last[0].detach().float()).sum(1)[0].relu()
    finally:
        for hook in hooks:
            hook.remove()
    most = float(found.max())
    result: NDArray[np.float32] = (found / most if most > 0 else found).cpu().numpy()
    return result


def overlaid(pixels: NDArray[np.uint8], found: NDArray[np.float32]) -> bytes:
    """The picture with the heat over it, as PNG."""
    height, width = pixels.shape[:2]
    mask = Image.fromarray((found * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    warm = np.asarray(mask, np.float32)[..., None] / 255
    colour = np.concatenate([np.full_like(warm, 255), 220 * (1 - warm), np.zeros_like(warm)], axis=2)
    mixed = pixels * (1 - STRENGTH * warm) + colour * STRENGTH * warm
    out = io.BytesIO()
    Image.fromarray(mixed.astype(np.uint8)).save(out, "PNG")
    return out.getvalue()
