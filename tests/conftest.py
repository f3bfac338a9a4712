import os
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from servers.nginx import Nginx
from servers.proxy import Proxy
from servers.s3 import S3Server, shared
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.sample.sample import SampleConfig, draw_sample


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Kaggle-like tree: 10 classes, 120 train and 40 val pictures. To be read only."""
    out = tmp_path_factory.mktemp("drawn") / "pictures"
    draw_sample(out, SampleConfig(train_per_class=12, val_per_class=4, seed=5), workers=1)
    return out


@pytest.fixture(scope="session")
def shards(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree packed into several shards a split. To be read only."""
    out = tmp_path_factory.mktemp("packed") / "shards"
    pack(pictures, str(out), PackConfig(shard_size=1_000_000))
    return out


@pytest.fixture(scope="session")
def s3(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real object store, one for all workers of pytest-xdist: leave it running. It ends with the main process."""
    base = tmp_path_factory.getbasetemp()
    if is_worker := hasattr(request.config, "workerinput"):
        server = shared(base.parent / "s3", owner=os.getppid())
    else:
        server = shared(base / "s3", owner=os.getpid())
    yield server
    server.close_client()
    if not is_worker:
        server.stop()


@pytest.fixture
def own_s3(tmp_path: Path) -> Iterator[S3Server]:
    """An object store for one test alone, which may stop and restart it. Takes seconds."""
    server = S3Server(tmp_path / "s3")
    server.start()
    yield server
    server.close_client()
    server.stop()


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """The URL of a new bucket."""
    return s3.make_bucket(f"tarn-{uuid.uuid4().hex}")


@pytest.fixture(scope="session")
def s3_proxy(s3: S3Server) -> Iterator[Proxy]:
    with Proxy(s3.endpoint) as proxy:
        yield proxy


@pytest.fixture
def proxy(s3_proxy: Proxy) -> Iterator[Proxy]:
    """Stands in front of the object store and injects faults; at first it has none, and an empty log."""
    s3_proxy.reset()
    yield s3_proxy
    s3_proxy.reset()


@pytest.fixture
def s3_env(request: pytest.FixtureRequest, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The environment points clients to the object store: through the proxy where the test asks for `proxy` too."""
    endpoint = request.getfixturevalue("proxy").endpoint if "proxy" in request.fixturenames else s3.endpoint
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3.env_at(endpoint).items():
        monkeypatch.setenv(name, value)
    _forget_clients()
    yield s3.env_at(endpoint)
    _forget_clients()


def _forget_clients() -> None:
    """fsspec keeps clients, and with them the environment of their making."""
    if "s3fs" in sys.modules:
        sys.modules["s3fs"].S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """A real web server; a test puts its files into a folder of its own below nginx.folder."""
    server = Nginx(tmp_path_factory.mktemp("nginx"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def nginx_proxy(nginx: Nginx) -> Iterator[Proxy]:
    """A new proxy in front of the web server."""
    with Proxy(nginx.endpoint) as proxy:
        yield proxy


SERVERS = {"s3", "own_s3", "nginx"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a server, and those of the servers themselves, are told apart: `make test` goes without. Those
    that need a GPU are skipped where there is none.
    """
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())) or "servers" in item.path.parts:
            item.add_marker("servers")
    of_cuda = [item for item in items if item.get_closest_marker("cuda")]
    if of_cuda and not has_cuda():
        for item in of_cuda:
            item.add_marker(pytest.mark.skip(reason="no CUDA device is at hand"))


def has_cuda() -> bool:
    import torch  # most tests of sharding go without

    return torch.cuda.is_available()


# One thread for each process that computes: tests run side by side, and OpenMP's threads would wait for each other,
# spinning; and sums over other numbers of threads are other sums. Here, for conftests of folders below may import
# torch, which reads this once, before pytest_configure is called.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure() -> None:
    """A run in the background of a shell ignores SIGINT; so would every process that a test interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


settings.register_profile("tarn", deadline=None)  # no test is timed: machines are shared
settings.load_profile("tarn")
