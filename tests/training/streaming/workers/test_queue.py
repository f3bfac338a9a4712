"""The queue that decoding processes help themselves from, and that they do so while nobody looks after them."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.loaders import shard_loader
from tarn.training.streaming.workers.pool import WorkerPool
from tarn.training.streaming.workers.queue import Job, JobQueue, jobs_of


def job(ticket: int, piece: int = 0, as_pixels: bool = False) -> Job:
    return Job(ticket, piece, ticket + 7, (2**40, ticket, 3), (8 * piece, 8 * piece + 8), as_pixels)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_job_is_the_same_behind_the_pipe(pipe: tuple[int, int]) -> None:
    queue = JobQueue(*pipe)
    jobs = [job(1), job(2, 5, as_pixels=True)]
    queue.put(jobs)
    taken = jobs_of(queue.reader)
    assert [next(taken), next(taken)] == jobs


def test_what_nobody_has_taken_can_be_dropped_or_stand_behind_something_urgent(pipe: tuple[int, int]) -> None:
    queue = JobQueue(*pipe)
    queue.put(job(ticket) for ticket in range(6))
    taken = jobs_of(queue.reader)
    assert next(taken).ticket == 0
    assert [dropped.ticket for dropped in queue.withdraw(lambda job: job.ticket % 2 == 0)] == [2, 4]
    queue.put_first([job(9), job(8)])
    assert [next(taken).ticket for _ in range(5)] == [9, 8, 1, 3, 5]
    assert queue.take_back() == []


def test_more_jobs_than_the_pipe_has_room_for_wait_and_keep_their_order(pipe: tuple[int, int]) -> None:
    queue = JobQueue(*pipe)
    queue.put(job(ticket) for ticket in range(20_000))
    assert queue.waiting
    taken, seen = jobs_of(queue.reader), []
    while len(seen) < 15_000:
        seen.append(next(taken).ticket)
        queue.fill()
    seen += [each.ticket for each in queue.take_back()]
    assert seen == list(range(20_000))


def test_all_who_read_at_once_get_every_job_once_and_whole() -> None:
    reader, writer = os.pipe()
    queue, got = JobQueue(reader, writer), [list[tuple[int, int]]() for _ in range(4)]

    def take(into: list[tuple[int, int]]) -> None:
        into.extend((each.ticket, each.piece) for each in jobs_of(reader))

    threads = [threading.Thread(target=take, args=(into,)) for into in got]
    for thread in threads:
        thread.start()
    told = [(ticket, piece) for ticket in range(1_000) for piece in range(3)]
    queue.put(job(*each) for each in told)
    while queue.waiting:
        queue.fill()
    os.close(writer)
    for thread in threads:
        thread.join()
    os.close(reader)
    assert sorted(each for part in got for each in part) == told
    assert all(part == sorted(part) for part in got)


def test_a_reader_ends_with_the_last_writer(pipe: tuple[int, int]) -> None:
    reader, writer = os.pipe()
    JobQueue(reader, writer).put([job(1)])
    closing = threading.Timer(0.05, os.close, [writer])
    closing.start()
    assert [each.ticket for each in jobs_of(reader)] == [1]
    closing.join()
    os.close(reader)


def finished(pool: WorkerPool) -> int:
    """Messages that lie in the processes' connections, which nobody has read: a length of four bytes before each."""
    count = 0
    for child in pool.children:
        with socket.socket(fileno=os.dup(child.connection.fileno())) as peeking:
            try:
                told = peeking.recv(1 << 20, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
        while told:
            count, told = count + 1, told[4 + int.from_bytes(told[:4], "big") :]
    return count


@pytest.mark.parametrize("workers", [1, 3])
def test_all_batches_that_may_be_ahead_are_made_while_the_main_process_does_something_else(
    shards: Path, workers: int
) -> None:
    one = shard_loader(str(shards), global_batch=8, image_size=16, lanes=4, active_shards=4, num_workers=workers)
    batches, pool = iter(one), one.pool
    assert pool is not None
    for _ in range(2):
        next(batches)
        deadline, expected = time.monotonic() + 100, sum(each.working for each in pool.assemblies.values())
        while finished(pool) < expected:
            assert time.monotonic() < deadline, "they wait for the main process"
            time.sleep(0.01)
    assert len(pool.wanted) == pool.ahead == 2 * workers
    for _ in range(pool.ahead):
        assert one.is_ready()
        next(batches)
    one.close()
    assert not one.is_ready()
