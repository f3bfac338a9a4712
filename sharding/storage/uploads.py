"""A finished local file to a store: in parts, so that never more than a few of them are in memory.

By obstore where it knows the store: each part is tried again by itself, and on S3 signed together with the SHA-256 of
its bytes, which the store compares with what arrives (AWS Signature Version 4, x-amz-content-sha256). Elsewhere by
fsspec, with the checksums that its clients send. What a kill leaves of an upload is no object: a store may be told to
drop such parts after some days (on S3 the lifecycle rule AbortIncompleteMultipartUpload).
"""

from datetime import timedelta
from pathlib import Path

from tarn.sharding.storage.clients import FsspecClient, ObstoreClient, build_client
from tarn.sharding.storage.filesystem import NONE
from tarn.sharding.storage.told import TOLD

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
