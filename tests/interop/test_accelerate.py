"""ShardLoader in a loop of Accelerate's."""

import importlib.util
from pathlib import Path

import pytest
import torch

from support.loaders import shard_loader
from tarn.training.streaming import Batch

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("accelerate") is None, reason="the extra interop is not installed"),
    pytest.mark.filterwarnings("ignore"),  # Accelerate's own, of its own uses of torch
]


def test_accelerate_leaves_the_loader_as_it_is_and_moves_its_batches(shards: Path) -> None:
    from accelerate import Accelerator
    from accelerate.utils import send_to_device

    settings = {"global_batch": 16, "image_size": 16, "keys": True, "num_workers": 1}
    alone, taken = shard_loader(str(shards), **settings), []
    accelerator = Accelerator(cpu=True)
    model = torch.nn.Linear(3, 10)
    loader = shard_loader(str(shards), **settings)
    model, optimizer, prepared = accelerator.prepare(model, torch.optim.SGD(model.parameters(), 0.1), loader)
    assert prepared is loader
    for _ in range(2):
        for batch in prepared:
            moved = send_to_device(batch, torch.device("meta"))
            assert isinstance(moved, Batch)
            assert moved.images.device.type == moved.labels.device.type == "meta"
            assert (moved.keys, moved.step, moved.last) == (batch.keys, batch.step, batch.last)
            on_device = send_to_device(batch, accelerator.device, non_blocking=True)
            loss = torch.nn.functional.cross_entropy(
                model(on_device.images.float().mean((1, 2)) / 255), on_device.labels
            )
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            taken.append(batch.keys)
    assert taken == [batch.keys for _ in range(2) for batch in alone]
    alone.close()
    loader.close()


def test_accelerate_accumulates_to_the_epochs_end_and_skips_without_decoding(shards: Path) -> None:
    from accelerate import Accelerator

    from tarn.training.adapters.accelerate import AcceleratedLoader

    settings = {"global_batch": 16, "image_size": 16, "keys": True, "num_workers": 0}
    alone, stream = (shard_loader(str(shards), **settings) for _ in range(2))
    expected = [[batch.keys for batch in alone] for _ in range(2)]
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = accelerator.prepare(torch.nn.Linear(3, 10))
    batches = accelerator.prepare(AcceleratedLoader(accelerator, stream))
    stepped = []
    for batch in batches:
        assert isinstance(batch, Batch)
        with accelerator.accumulate(model):
            stepped.append(accelerator.sync_gradients)
    assert stepped == [False, True] * 3 + [True]  # of 7
    asked, real = [], stream.batches
    stream.batches = lambda *place: asked.append(place) or real(*place)  # type: ignore[func-returns-value,method-assign]
    batches.set_epoch(1)
    assert [batch.keys for batch in accelerator.skip_first_batches(batches, 5)] == expected[1][5:]
    assert asked == [(1, 5)]
