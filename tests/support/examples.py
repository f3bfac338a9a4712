"""Small trainers of what is no classification: boxes, masks, several labels, captions.

    python -m support.examples ROOT FOLDER STEPS [KILLED_AT]

All take a step in turn and are kept behind it, with their loaders' states; what is there already is gone on with.
"""

import hashlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tarn.training.streaming import Augmentation, Batch, Boxes, BoxLabels, Mask, MultiLabel, PictureConfig, ShardLoader

SIDE = 32


class Detector(nn.Module):
    """One box and its class for each of the four quarters of a picture, held against the boxes in order of size."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.places, self.classes = nn.Linear(32, 8), nn.Linear(32, 16)

    def loss(self, batch: Batch) -> Tensor:
        seen = self.body(pixels(batch))
        places, classes = self.places(seen).view(-1, 2, 4), self.classes(seen).view(-1, 2, 8)
        losses = [seen.sum() * 0]
        for row, (boxes, labels) in enumerate(zip(batch.boxes, batch.classes, strict=True)):
            for at in range(len(boxes)):
                losses.append(functional.l1_loss(places[row, at], boxes[at] / SIDE))
                losses.append(functional.cross_entropy(classes[row, at], labels[at]))
        return torch.stack(losses).mean()


class Segmenter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))

    def loss(self, batch: Batch) -> Tensor:
        return functional.cross_entropy(self.body(pixels(batch)), batch.masks.long(), ignore_index=255)


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.tags = nn.Linear(128, 5)

    def loss(self, batch: Batch) -> Tensor:
        return functional.binary_cross_entropy_with_logits(self.tags(self.body(pixels(batch))), batch.tags)


class Captioner(nn.Module):
    """Pictures and texts side by side, as CLIP has them (Radford et al. 2021); a text is the mean of its bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.texts = nn.EmbeddingBag(256, 32)

    def loss(self, batch: Batch) -> Tensor:
        texts = [torch.tensor(list(text.encode())) for text in batch.captions]
        starts = torch.tensor([0, *(len(text) for text in texts[:-1])]).cumsum(0)
        logits = self.pictures(pixels(batch)) @ self.texts(torch.cat(texts), starts).T
        return functional.cross_entropy(logits, torch.arange(len(texts)))


def pixels(batch: Batch) -> Tensor:
    return batch.images.permute(0, 3, 1, 2).float() / 255


EXAMPLES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "boxes": (
        Detector,
        {
            "boxes": Boxes("json:objects.bbox", written="xywh", least=1),
            "classes": BoxLabels("json:objects.category", boxes="boxes"),
        },
    ),
    "masks": (Segmenter, {"masks": Mask("seg.png", fill=255)}),
    "tags": (Tagger, {"tags": MultiLabel("json:tags", classes=5)}),
    "captions": (Captioner, {"captions": "txt"}),
}


class Example:
    def __init__(self, name: str, root: str) -> None:
        make, fields = EXAMPLES[name]
        torch.manual_seed(1)
        self.model = make()
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.2, momentum=0.9)
        self.loader = ShardLoader(
            root, global_batch=6, image_size=SIDE, num_workers=0, fields=fields, seed=2,
            pictures=PictureConfig(augment=Augmentation(scale=(0.5, 1.0))),
        )  # fmt: skip
        self.batches = self.endless()

    def endless(self) -> Iterator[Batch]:
        while True:
            yield from self.loader

    def step(self) -> float:
        loss = self.model.loss(next(self.batches))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def kept(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "loader": self.loader.state_dict(),
        }

    def load(self, kept: dict[str, Any]) -> None:
        self.model.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.loader.load_state_dict(kept["loader"])

    def digest(self) -> str:
        weights = b"".join(value.numpy().tobytes() for value in self.model.state_dict().values())
        return hashlib.sha256(weights).hexdigest()


def train(root: str, folder: Path, steps: int, killed_at: int | None = None) -> dict[str, tuple[str, list[float]]]:
    """By example: a digest of its weights, and the losses of the steps taken here. killed_at: the step in the middle of
    which the process ends."""
    examples = {name: Example(name, root) for name in EXAMPLES}
    path, done = folder / "kept.pt", 0
    if path.exists():
        kept = torch.load(path, weights_only=True)
        done = kept["step"]
        for name, example in examples.items():
            example.load(kept[name])
    losses: dict[str, list[float]] = {name: [] for name in examples}
    for step in range(done, steps):
        for name, example in examples.items():
            losses[name].append(example.step())
            if step == killed_at and name == "masks":
                os.kill(os.getpid(), signal.SIGKILL)
        torch.save(
            {"step": step + 1, **{name: example.kept() for name, example in examples.items()}}, folder / "new.pt"
        )
        (folder / "new.pt").rename(path)
    return {name: (example.digest(), losses[name]) for name, example in examples.items()}


if __name__ == "__main__":
    told = train(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else None)
    for name, (digest, _) in told.items():
        print(name, digest)
