"""Pictures of many requests, scored together."""

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.exceptions import HTTPException

from tarn.inference.prediction import Guess
from tarn.inference.predictor import Predictor
from tarn.inference.serving.batching import Batcher, Guesses
from tarn.inference.serving.served import Served
from tarn.inference.serving.service import Service
from tarn.inference.serving.settings import ServeConfig


def picture(value: int) -> NDArray[np.uint8]:
    return np.full((4, 4, 3), value, np.uint8)


class Network:
    """Names each picture's value; works when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.let = threading.Event()
        self.at_work = threading.Event()

    def score(self, pixels: NDArray[np.uint8]) -> list[Guesses]:
        self.at_work.set()
        assert self.let.wait(30)
        values = pixels[:, 0, 0, 0].tolist()
        self.batches.append(values)
        if 13 in values:
            raise ValueError("a picture that the network cannot bear")
        return [(Guess(value, "", "", 1.0),) for value in values]


async def asked(batcher: Batcher, network: Network, first: int, then: list[int]) -> list[Guesses | BaseException]:
    """The first is being scored when the others come."""
    work = asyncio.create_task(batcher.run())
    tasks = [asyncio.create_task(batcher.score(network.score, picture(first)))]
    await asyncio.to_thread(network.at_work.wait, 30)
    tasks += [asyncio.create_task(batcher.score(network.score, picture(value))) for value in then]
    await asyncio.sleep(0)
    network.let.set()
    try:
        return await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        work.cancel()


def test_what_comes_while_the_network_works_is_the_next_batch() -> None:
    network = Network()
    found = asyncio.run(asked(Batcher(4), network, 0, [1, 2, 3, 4, 5, 6]))
    assert network.batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert [it[0].index for it in found if isinstance(it, tuple)] == [0, 1, 2, 3, 4, 5, 6]


def test_a_batch_that_fails_fails_for_those_in_it_alone() -> None:
    network = Network()
    found = asyncio.run(asked(Batcher(2), network, 0, [1, 13, 2, 3]))
    assert [type(it).__name__ for it in found] == ["tuple", "ValueError", "ValueError", "tuple", "tuple"]


def test_a_network_that_answers_too_few_fails_for_those_in_the_batch_alone() -> None:
    network = Network()
    score = network.score
    network.score = lambda pixels: score(pixels)[:3]  # type: ignore[method-assign]
    found = asyncio.run(asked(Batcher(4), network, 0, [1, 2, 3, 4, 5]))
    assert [type(it).__name__ for it in found] == ["tuple", *["RuntimeError"] * 4, "tuple"]


def test_whoever_is_gone_is_not_scored() -> None:
    async def run() -> None:
        batcher, network = Batcher(8), Network()
        work = asyncio.create_task(batcher.run())
        first = asyncio.create_task(batcher.score(network.score, picture(0)))
        await asyncio.to_thread(network.at_work.wait, 30)
        gone, stays = (asyncio.create_task(batcher.score(network.score, picture(value))) for value in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        network.let.set()
        assert (await first, await stays) == ((Guess(0, "", "", 1.0),), (Guess(2, "", "", 1.0),))
        assert network.batches == [[0], [2]]
        work.cancel()

    asyncio.run(run())


def test_pictures_of_two_models_are_never_in_one_batch() -> None:
    async def run() -> None:
        batcher, old, new = Batcher(8), Network(), Network()
        new.let.set()
        work = asyncio.create_task(batcher.run())
        tasks = [asyncio.create_task(batcher.score(old.score, picture(0)))]
        await asyncio.to_thread(old.at_work.wait, 30)
        for value, network in enumerate((old, new, new, old), 1):
            tasks.append(asyncio.create_task(batcher.score(network.score, picture(value))))
        await asyncio.sleep(0)
        old.let.set()
        await asyncio.gather(*tasks)
        assert (old.batches, new.batches) == ([[0], [1], [4]], [[2, 3]])
        work.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("gathers", [True, False])
def test_on_a_processor_a_batch_waits_for_pictures_that_are_being_prepared(gathers: bool) -> None:
    async def run() -> None:
        batcher, network = Batcher(8, gathers=gathers), Network()
        batcher.rate = 1e-3  # those at hand take an hour, and so long it may wait
        network.let.set()
        work, ready = asyncio.create_task(batcher.run()), asyncio.Event()

        async def later() -> Guesses:
            with batcher.expecting():
                await ready.wait()
            return await batcher.score(network.score, picture(1))

        second = asyncio.create_task(later())
        await asyncio.sleep(0)
        first = asyncio.create_task(batcher.score(network.score, picture(0)))
        if gathers:
            for _ in range(10):
                await asyncio.sleep(0)
            assert not network.at_work.is_set()
        else:
            await first
        ready.set()
        await asyncio.gather(first, second)
        assert network.batches == ([[0, 1]] if gathers else [[0], [1]])
        work.cancel()

    asyncio.run(run())


def test_it_waits_no_longer_than_those_at_hand_will_take_and_not_for_one_that_cannot_be_read() -> None:
    async def run() -> None:
        batcher, network = Batcher(8, gathers=True), Network()
        batcher.rate = 1000.0
        network.let.set()
        work = asyncio.create_task(batcher.run())
        with batcher.expecting():  # for ever
            await asyncio.wait_for(batcher.score(network.score, picture(0)), 60)
        batcher.rate = 1e-3
        with batcher.expecting():
            waits = asyncio.create_task(batcher.score(network.score, picture(1)))
            await asyncio.sleep(0)
        assert (await asyncio.wait_for(waits, 60))[0].index == 1
        work.cancel()

    asyncio.run(run())


def test_beyond_its_room_a_service_says_when_to_come_again(model: Path) -> None:
    service = Service(Served(lambda: Predictor.load(model, "cpu")), ServeConfig(room=3))
    service.batcher.rate = 0.5
    with service.room(2):
        with service.room(1), pytest.raises(HTTPException) as refused, service.room(1):
            pass
        assert refused.value.status_code == 503
        assert refused.value.headers == {"Retry-After": "6"}
        with service.room(1):
            pass
    assert service.busy == 0
    with service.room(64):  # one request has room in any case
        assert service.busy == 64
