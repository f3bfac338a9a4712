"""What the steps of a stretch add up to."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(slots=True)
class Tally:
    """sums, on the device: loss, top-1 hits, top-5 hits, samples."""

    sums: Tensor
    seconds: float = 0.0
    waited: float = 0.0

    def add(self, other: "Tally") -> None:
        self.sums += other.sums
        self.seconds += other.seconds
        self.waited += other.waited

    def figures(self) -> dict[str, float]:
        loss, top1, top5, samples = self.sums.tolist()
        return {
            "loss": loss / max(1.0, samples),
            "top1": top1 / max(1.0, samples),
            "top5": top5 / max(1.0, samples),
            "images_per_second": samples / max(1e-9, self.seconds),
            "data_wait": self.waited / max(1e-9, self.seconds),
        }
