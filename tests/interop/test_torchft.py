"""torchft's own lighthouse and managers: replicas die within a step and come back, and every batch is trained once."""

import importlib.util
import signal
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from support.exactness import LAST, PATIENCE, Life, begin, complaints, read, undisturbed

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torchft") is None, reason="the extra interop is not installed"
)


def test_replicas_that_die_and_come_back_train_the_same_global_batches(shards: Path, tmp_path: Path) -> None:
    from torchft.coordination import LighthouseServer

    lighthouse = LighthouseServer(
        bind="127.0.0.1:0", min_replicas=1, join_timeout_ms=200, quorum_tick_ms=20, heartbeat_timeout_ms=1000
    )

    def replica(rank: int, kill: int | None) -> ForkServerProcess:
        """It dies with the step `kill` half done."""
        life = Life(str(shards), str(tmp_path), 0, rank, 1, kill, "support.trainers.in_torchft")
        return begin(life, TORCHFT_LIGHTHOUSE=f"http://127.0.0.1:{lighthouse.address().rpartition(':')[2]}")

    first, second = replica(0, None), replica(1, 4)
    second.join(PATIENCE)
    third, fourth = replica(2, 10), replica(3, 10)
    for process in (third, fourth, first):
        process.join(PATIENCE)
        process.kill()
    codes = [process.exitcode for process in (first, second, third, fourth)]
    assert codes == [0, *[-signal.SIGKILL] * 3], complaints(tmp_path, 0)
    trained: dict[int, list[str]] = {}
    for rank in range(4):
        for step, keys in read(tmp_path, "trained", 0, rank):
            trained.setdefault(step, []).extend(keys)
    expected = undisturbed(shards)
    assert sorted(trained) == list(range(LAST))
    for step, keys in trained.items():
        assert sorted(keys) == sorted(expected[step]), step
    assert set(read(tmp_path, "sizes", 0, 0)) == {1, 2, 3}
    lighthouse.shutdown()
