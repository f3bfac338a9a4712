"""fsspec's file systems."""

from collections.abc import Mapping
from typing import Any

from tarn.sharding.errors import TarnError
from tarn.sharding.storage.told import TOLD
from tarn.sharding.storage.urls import kind_of

Options = Mapping[str, Any]  # of a store, in fsspec's words
NONE: Options = {}
PACKAGES = {"s3": "s3fs obstore", "gs": "gcsfs obstore", "az": "adlfs obstore", "http": "aiohttp obstore"}


def remote(url: str, options: Options = NONE) -> Any:
    """fsspec's file system for a URL, by the command's options and these. Raises TarnError where its package is not
    installed."""
    import fsspec

    try:
        return fsspec.core.url_to_fs(url, **{**TOLD.store.options, **options})[0]  # type: ignore[no-untyped-call]
    except ImportError as error:
        packages = PACKAGES.get(kind_of(url))
        advice = f"install it by uv pip install {packages}" if packages else "install the package that it names"
        raise TarnError(f"{url} needs a package that is not here ({error}): {advice}.") from error
    except ValueError as error:
        raise TarnError(f"{url} is of no known kind ({error}): give a path, s3://, gs://, az:// or http://.") from error
