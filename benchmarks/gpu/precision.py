"""Whether evaluation on a GPU is in full float32: its logits beside a CPU's."""

import torch

from benchmarks.gpu.stage import read_stage
from tarn.training.model.resnet import build_model
from tarn.training.world.numerics import full_float32


def main() -> None:
    stage = read_stage("precision")
    model = build_model("resnet18" if stage.rehearsal else "resnet50", 1000, seed=1).eval()
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(16, 3, 64 if stage.rehearsal else 224, 64 if stage.rehearsal else 224, generator=draw)
    with torch.inference_mode():
        expected = model(images)
        model, images = model.to(stage.device), images.to(stage.device)
        with full_float32():
            full = model(images).cpu()
        rounded = model(images).cpu()
    largest = float(expected.abs().max())
    stage.verdicts.at_most("largest difference of logits from the CPU, relative", apart(full, expected) / largest, 1e-4)
    stage.verdicts.fact("the same where TF32 is allowed", apart(rounded, expected) / largest)


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


if __name__ == "__main__":
    main()
