"""What a URL says: whether it is a local path, and which kind of store it names."""

from pathlib import Path

KINDS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "http": "http", "https": "http"}


def local_path(url: str) -> Path | None:
    """The path of a local file or folder, None for a remote URL."""
    if url.startswith("file://"):
        return Path(url.removeprefix("file://"))
    return None if "://" in url else Path(url)


def join(root: str, name: str) -> str:
    return f"{root.rstrip('/')}/{name}" if root.rstrip("/") else f"/{name}"


def scheme_of(url: str) -> str:
    return url.split("://")[0].lower()


def kind_of(url: str) -> str:
    return KINDS.get(scheme_of(url), "")
