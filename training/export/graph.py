"""What every graph that leaves PyTorch computes: pixels as they are decoded in, logits out."""

import copy

import torch
from torch import Tensor, nn

from tarn.training.export.artifact import Artifact

INPUT, OUTPUT = "pixels", "logits"


class Graph(nn.Module):
    """B x H x W x 3 uint8 to B x classes float32.

    Normalisation lies inside: who uses the file elsewhere cannot get it wrong, a quarter of the bytes go in, and no
    pass over float32 pictures is made outside of what the runtime makes fast.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, artifact: Artifact) -> None:
        super().__init__()
        self.network = copy.deepcopy(artifact.build())
        how = artifact.preprocessing
        for name, values in (("shift", how.mean), ("scale", how.std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1) * 255)
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        planes = pixels.permute(0, 3, 1, 2).to(torch.float32)
        return self.network((planes - self.shift) / self.scale)  # type: ignore[no-any-return]


def traced(artifact: Artifact) -> torch.export.ExportedProgram:
    """The graph for pictures of the model's crop, for batches of any size; nothing in it tells of this machine."""
    side = artifact.preprocessing.crop
    pixels = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    with torch.no_grad():
        program = torch.export.export(
            Graph(artifact), (pixels,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},), strict=False
        )
    for node in program.graph.nodes:
        for name in ("stack_trace", "nn_module_stack", "source_fn_stack"):
            node.meta.pop(name, None)  # files of this machine
    return program
