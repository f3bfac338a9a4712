"""What a service allows and how much it takes on."""

import ipaddress
from dataclasses import dataclass, field

from tarn.sharding.errors import UsageError

MOST_GUESSES = 20  # that an answer may hold for a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """batch_size: pictures scored at a time. room: pictures in service at a time, beyond which others are told to come
    again. max_bytes: of a request's body. held: bytes of all bodies that are in memory at a time. patience: seconds
    for a request to arrive, head and body. urls: whether pictures may be given by URL. api_key: what every request must
    bring, None for nothing.

    Raises UsageError for what makes no sense.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    batch_size: int = 32
    room: int = 256
    max_bytes: int = 20_000_000
    held: int = 400_000_000
    patience: float = 30.0
    urls: bool = False
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("batch_size", "room", "max_bytes", "patience"):
            if getattr(self, name) <= 0:
                raise UsageError(f"--{name.replace('_', '-')}={getattr(self, name)} must be above 0.")
        if self.held < self.max_bytes:
            raise UsageError(f"--max-bytes={self.max_bytes} is more than all requests may hold, {self.held}.")
        if not 0 <= self.port < 65536:
            raise UsageError(f"--port={self.port} is none: choose 1 to 65535, or 0 for a free one.")
        if self.api_key == "":
            raise UsageError("the API key is empty: give a file that holds one, or none at all.")

    @property
    def is_open(self) -> bool:
        """Whether others than this machine's own programs may ask, without a key."""
        return self.api_key is None and not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
