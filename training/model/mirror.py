"""A network that looks at each picture twice: as it is, and in the mirror."""

from torch import Tensor, nn

from tarn.training.model.fitting import check_fits


class Mirrored(nn.Module):
    """The mean of the logits of B x 3 x H x W pictures and of their mirror images.

    Logits, not probabilities, as K. Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv 2404.00498)
    takes them. For evaluation alone: nothing of it is trained or exported.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = network.training

    def forward(self, images: Tensor) -> Tensor:
        return (self.network(images) + self.network(images.flip(3))) / 2  # type: ignore[no-any-return]


def seen_at(model: nn.Module, num_classes: int, side: int | None, flip: bool) -> nn.Module:
    """An exported network as a command asks for it: on pictures of another size (None: its own), with mirror images.

    Raises UsageError where it does not take such pictures.
    """
    if side is not None:
        check_fits(model, num_classes, side, f"--image-size={side}")
    return Mirrored(model) if flip else model
