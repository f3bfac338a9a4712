"""A loop of Accelerate's with save_state and load_state, the loader registered."""

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from support.exactness import LAST, Life
from tarn.training.adapters.accelerate import AcceleratedLoader


def train(life: Life) -> None:
    from accelerate import Accelerator
    from accelerate.utils import ProjectConfiguration

    settings = ProjectConfiguration(life.home, automatic_checkpoint_naming=True, total_limit=2)
    accelerator = Accelerator(cpu=True, project_config=settings)
    batches, val = (AcceleratedLoader(accelerator, life.loader(train)) for train in (True, False))
    model = nn.Linear(3, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model, optimizer, prepared, val = accelerator.prepare(model, optimizer, batches, val)
    assert prepared is batches
    count = Count()
    accelerator.register_for_checkpointing(batches, count)
    if saved := sorted((Path(life.home) / "checkpoints").glob("checkpoint_*"), key=number):
        accelerator.load_state(str(saved[-1]))
        accelerator.project_configuration.iteration = number(saved[-1]) + 1
    while count.steps < LAST:
        for batch in prepared:
            life.trains(count.steps, batch.keys)
            accelerator.backward(cross_entropy(model(batch.images.float().mean((1, 2)) / 255), batch.labels))
            optimizer.step()
            optimizer.zero_grad()
            count.steps += 1
            if count.steps % 2 == 0:
                accelerator.save_state()
            if count.steps % 4 == 0:
                life.evaluated([key for batch in val for key in batch.keys])
            if count.steps == LAST:
                break
    accelerator.end_training()


def number(folder: Path) -> int:
    return int(folder.name.rpartition("_")[2])


class Count:
    """Of steps, in the checkpoint."""

    steps = 0

    def state_dict(self) -> dict[str, int]:
        return {"steps": self.steps}

    def load_state_dict(self, told: dict[str, int]) -> None:
        self.steps = told["steps"]
