"""A finished local file to a store: in parts, so that never more than a few of them are in memory.

By obstore where it knows the store: each part is tried again by itself, and on S3 signed together with the SHA-256 of
its bytes, which the store compares with what arrives (AWS Signature Version 4, x-amz-content-sha256). Elsewhere by
fsspec, with the checksums that its clients send. What a kill leaves of an upload is no object, but takes room in the
store until it is dropped.
"""

import contextlib
from datetime import timedelta
from pathlib import Path

from tarn.sharding.storage.clients import FsspecClient, ObstoreClient, build_client
from tarn.sharding.storage.filesystem import NONE, remote
from tarn.sharding.storage.told import TOLD
from tarn.sharding.storage.urls import kind_of

PART = 8 * 2**20  # bytes; S3 takes 10,000 parts of 5 MiB at least
AT_A_TIME = 3
ATTEMPTS = 8  # of each part


def upload(source: Path, url: str) -> None:
    """The object holds all of the file, or stays as it was. Raises what the client raises."""
    root, _, name = url.rpartition("/")
    patience = {"max_retries": ATTEMPTS, "retry_timeout": timedelta(seconds=TOLD.store.deadline)}
    client = build_client(root, NONE, retry=patience)
    if isinstance(client, ObstoreClient):
        import obstore

        obstore.put(client.store, name, source, chunk_size=PART, max_concurrency=AT_A_TIME)
        return
    assert isinstance(client, FsspecClient)
    out = client.files.open(url, "wb", block_size=PART)
    try:
        with source.open("rb") as file:
            while piece := file.read(PART):
                out.write(piece)
    except BaseException:
        out.discard()
        out.closed = True  # for closing would publish what has come so far
        raise
    out.close()


def drop_unfinished(root: str) -> None:
    """Parts of uploads below a root of S3 that never came to their end. Only for who is the only one to write there.

    Where that is not allowed nothing happens, for nothing depends on it.
    """
    if kind_of(root) != "s3":
        return
    with contextlib.suppress(Exception):
        store = remote(root)
        bucket, prefix, _ = store.split_path(root.rstrip("/"))
        for upload in store.list_multipart_uploads(bucket):
            if upload["Key"].startswith(f"{prefix}/" if prefix else ""):
                store.abort_mpu(bucket, upload["Key"], upload["UploadId"])
