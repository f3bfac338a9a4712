"""Clients that read a range of an object as a stream. They try once: retrying is persistence.py's part."""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from tarn.sharding.errors import UsageError
from tarn.sharding.storage.filesystem import remote
from tarn.sharding.storage.told import CHOICES, TOLD
from tarn.sharding.storage.urls import KINDS, join, kind_of, local_path, scheme_of

PIECE = 8 * 2**20  # bytes that the fsspec client asks for at a time
CHUNK = 2**16  # bytes that the obstore client hands over at a time, at least
CONNECT_SECONDS, REQUEST_SECONDS = 10, 300
NO_RETRY: Mapping[str, Any] = {"max_retries": 0}
SILENCE_SECONDS = 15.0  # without a byte, after which a connection counts as dead

# storage_options in fsspec's words (s3fs, gcsfs, adlfs) and what obstore calls them
OBSTORE_WORDS = {
    "s3": {
        "key": "access_key_id",
        "secret": "secret_access_key",
        "token": "session_token",
        "endpoint_url": "endpoint",
        "region": "region",
        "region_name": "region",
        "anon": "skip_signature",
    },
    "gs": {"token": "service_account_path"},
    "az": {
        "account_name": "account_name",
        "account_key": "account_key",
        "sas_token": "sas_key",
        "anon": "skip_signature",
    },
    "http": {},
}


class Forks:
    """Whether this process is the fork of one that used obstore: its threads are gone then, and it would hang."""

    def __init__(self) -> None:
        self.watched = self.happened = False

    def watch(self) -> None:
        if not self.watched and hasattr(os, "register_at_fork"):
            self.watched = True
            os.register_at_fork(after_in_child=self.note)

    def note(self) -> None:
        self.happened = True


FORKS = Forks()  # a fact of the process, not of any object


class Client(Protocol):
    """name: of an object below the client's root. Raises whatever the library below raises."""

    def stream(self, name: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes [start, end), in pieces, in order; fewer where the object ends before."""
        ...

    def whole(self, name: str) -> bytes:
        """All bytes of a small object, by one request."""
        ...


class ObstoreClient:
    """obstore: HTTP in Rust, outside the GIL; the fastest client that we measured (see benchmarks/remote.py)."""

    def __init__(
        self,
        root: str,
        options: Mapping[str, Any],
        silence: float = SILENCE_SECONDS,
        retry: Mapping[str, Any] = NO_RETRY,
    ) -> None:
        from obstore.store import from_url

        FORKS.watch()
        kind = kind_of(root)
        config: dict[str, Any] = translated(kind, options) or {}
        provider = (
            aws_credentials() if kind == "s3" and not {"access_key_id", "skip_signature"} & config.keys() else None
        )
        build: Any = from_url
        self.store: Any = build(
            root,
            **({"config": config} if config else {}),
            **({"credential_provider": provider} if provider else {}),
            client_options={
                "allow_http": True,
                "connect_timeout": f"{CONNECT_SECONDS}s",
                "read_timeout": f"{int(silence * 1000)}ms",
                "timeout": f"{REQUEST_SECONDS}s",
            },
            retry_config=dict(retry),
        )

    def stream(self, name: str, start: int, end: int) -> Iterator[bytes]:
        import obstore

        result = obstore.get(self.store, name, options={"range": (start, end)})
        begin, stop = result.range
        if begin != start or stop > end:
            raise OSError(f"the server answered with bytes {begin} to {stop}, asked for were {start} to {end}")
        for piece in result.stream(min_chunk_size=CHUNK):
            yield memoryview(piece)  # type: ignore[misc]  # no copy: whoever takes it may write or hash it

    def whole(self, name: str) -> bytes:
        import obstore

        return bytes(obstore.get(self.store, name).bytes())


class FsspecClient:
    """Any store that fsspec knows."""

    def __init__(self, root: str, options: Mapping[str, Any]) -> None:
        self.root = root
        self.files = remote(root, options)

    def stream(self, name: str, start: int, end: int) -> Iterator[bytes]:
        url = join(self.root, name)
        while start < end:
            piece = self.files.cat_file(url, start=start, end=min(end, start + PIECE))
            if len(piece) > end - start:
                raise OSError(f"the server does not serve ranges: it sent {len(piece)} bytes")
            yield piece
            if not piece:
                return
            start += len(piece)

    def whole(self, name: str) -> bytes:
        return bytes(self.files.cat_file(join(self.root, name)))


class LocalClient:
    """Files of a local folder: indexes may lie here for shards that lie elsewhere."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        path = local_path(join(self.root, name))
        assert path is not None
        return path

    def stream(self, name: str, start: int, end: int) -> Iterator[bytes]:
        with self.path(name).open("rb") as file:
            file.seek(start)
            yield file.read(end - start)

    def whole(self, name: str) -> bytes:
        return self.path(name).read_bytes()


def build_client(
    root: str,
    options: Mapping[str, Any],
    choice: str = "auto",
    silence: float = SILENCE_SECONDS,
    retry: Mapping[str, Any] = NO_RETRY,
) -> Client:
    """silence: seconds without a byte after which a connection counts as dead, where the client can tell. retry: what
    obstore is to do by itself about passing faults.

    auto: what the command told, else obstore where it is installed and knows the URL and every option, else fsspec.

    Raises UsageError for another choice, TarnError where the store's package is missing.
    """
    if choice not in CHOICES:
        raise UsageError(f"data.client={choice!r} is unknown: choose one of {', '.join(CHOICES)}.")
    if local_path(root) is not None:
        return LocalClient(root)
    options, choice = {**TOLD.store.options, **options}, TOLD.store.client if choice == "auto" else choice
    fits = KINDS.get(scheme_of(root)) is not None and translated(kind_of(root), options) is not None
    if choice == "obstore" and not fits:
        raise UsageError(
            f"data.client='obstore' does not know {root} with storage_options of {', '.join(options) or 'none'}: "
            "choose auto or fsspec."
        )
    if choice == "auto" and (FORKS.happened or importlib.util.find_spec("obstore") is None):
        fits = False
    if choice == "obstore" or (choice == "auto" and fits):
        return ObstoreClient(root, options, silence, retry)
    return FsspecClient(root, options)


def translated(kind: str, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """obstore's configuration for options in fsspec's words; None where one of them has no counterpart."""
    words, config = OBSTORE_WORDS.get(kind, {}), {}
    flat = {**options, **options.get("client_kwargs", {})}
    flat.pop("client_kwargs", None)
    for name, value in flat.items():
        if name not in words or not isinstance(value, str | bool | int):
            return None
        config[words[name]] = value
    return config


def aws_credentials() -> Any:
    """What the AWS profile files say, through botocore where it is installed; obstore itself reads the environment,
    web identities and instance roles only."""
    if "AWS_ACCESS_KEY_ID" in os.environ or importlib.util.find_spec("botocore") is None:
        return None
    import botocore.session

    found = botocore.session.Session().get_credentials()
    if found is None or found.method in ("iam-role", "container-role"):
        return None

    def provide() -> dict[str, Any]:
        frozen = found.get_frozen_credentials()
        told = {"access_key_id": frozen.access_key, "secret_access_key": frozen.secret_key, "expires_at": None}
        return told | ({"token": frozen.token} if frozen.token else {})

    return provide
