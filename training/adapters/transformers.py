"""Hugging Face transformers: a Trainer whose datasets are loaders. Resuming skips by numbers, at once."""

from typing import Any

from torch import Tensor
from torch.nn.functional import pad
from transformers import Trainer

from tarn.sharding.errors import UsageError
from tarn.training.adapters.dataloader import ShardDataLoader
from tarn.training.adapters.numbered import Form
from tarn.training.pixels.normalisation import Normalisation
from tarn.training.streaming.batch import Batch
from tarn.training.streaming.planned import PlannedLoader

IGNORED = -100  # a label that losses leave out


def pixel_values(loader: PlannedLoader) -> Form:
    """Batches to `pixel_values` (B x 3 x H x W float32, normalised) and `labels` (B int64).

    In evaluation the Trainer gathers as many rows of each rank: a rank that has one fewer gets a row of zeros with
    label -100, which the losses of transformers' models leave out, as compute_metrics has to.
    """
    plan = loader.plan
    if plan.content.fields is not None and "labels" not in dict(plan.content.fields):
        raise UsageError(
            f"batches of the fields {', '.join(dict(plan.content.fields))} have no labels: give a loader that has a "
            "field of that name, or override form() of ShardTrainer."
        )
    normalisation = Normalisation(plan.preprocessing.mean, plan.preprocessing.std, channels_last=False)

    def form(batch: Batch) -> dict[str, Tensor]:
        images, labels = normalisation(batch.images), batch.labels
        count = 0 if plan.train else min(plan.global_batch, plan.samples - batch.step * plan.global_batch)
        missing = max(0, plan.ranks.largest_share(count) - len(labels))
        return {
            "pixel_values": pad(images, (0, 0, 0, 0, 0, 0, 0, missing)),
            "labels": pad(labels, (0, missing), value=IGNORED),
        }

    return form


def checked(dataset: object, name: str) -> PlannedLoader:
    """Raises UsageError for what is no loader."""
    if not isinstance(dataset, PlannedLoader):
        raise UsageError(f"{name} is a {type(dataset).__name__}, expected a ShardLoader: give other ones to Trainer.")
    return dataset


class ShardTrainer(Trainer):  # type: ignore[misc]
    """train_dataset, eval_dataset: ShardLoaders, whose global_batch is that of a forward pass over all ranks; an
    optimizer step takes gradient_accumulation_steps of them. eval_dataset may be a dict of them. Override `form` for
    other batches. Raises UsageError for ignore_data_skip, which would begin the epoch again, and for other datasets.
    """

    def form(self, loader: PlannedLoader) -> Form:
        return pixel_values(loader)

    def get_train_dataloader(self) -> ShardDataLoader:
        if self.args.ignore_data_skip:
            raise UsageError("ignore_data_skip=True begins the epoch again: leave it out, skipping takes no time here.")
        loader = checked(self.train_dataset, "train_dataset")
        return ShardDataLoader(loader, self.form(loader))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> ShardDataLoader:
        """eval_dataset: a loader, or the name of one of them; None for the one there is."""
        told = self.eval_dataset if eval_dataset is None else eval_dataset
        loader = checked(self.eval_dataset[told] if isinstance(told, str) else told, "eval_dataset")
        return ShardDataLoader(loader, self.form(loader))

    get_test_dataloader = get_eval_dataloader
