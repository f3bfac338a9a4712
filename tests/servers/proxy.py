"""A proxy that does to HTTP what networks and stores do: the part that tests hold in their hands.

    with Proxy(s3.endpoint) as proxy:
        proxy.fault("rst", times=2, at=1000)
        ...
        assert [request.outcome for request in proxy.log] == ["rst", "rst", "pass"]

The proxy is a process of its own (`servers.relay`): its sockets are not inherited by forked loader workers, which would
keep broken connections open.
"""

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

Kind = Literal["status", "rst", "fin", "stall", "slow", "corrupt", "shortlen", "refuse"]


@dataclass
class Fault:
    """What happens to the requests it fits."""

    kind: Kind
    times: int | None = 1  # so many requests, None: all of them
    after: int = 0  # so many fitting requests pass before
    match: str = ""  # to be found in path?query
    method: str = "GET"  # "": any
    at: int | None = None  # byte of the reply's content; None: its middle where its length is told; -1: no head
    code: int = 503  # of "status"
    rate: float = 10_000  # of "slow", bytes a second
    seconds: float = 600  # of "stall"

    def strikes(self, method: str, target: str) -> bool:
        """Whether it happens to this request; counts."""
        if self.times == 0 or self.method not in ("", method) or self.match not in target:
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Request:
    """An entry of the log."""

    method: str
    path: str
    query: str
    range: str | None
    outcome: str = "pass"  # or the kind of fault that took place; "unreachable": nothing answered behind the proxy
    status: int = 0  # 0: no reply was sent
    sent: int = 0  # bytes of content that left for the client


class Proxy:
    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self._lock = threading.Lock()
        self._delay = self._rate = 0.0

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "servers.relay", str(os.getpid()), self.upstream],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is pytest's
        )
        assert self._process.stdin
        assert self._process.stdout
        self._commands, self._answers = self._process.stdin, self._process.stdout
        self.endpoint = f"http://127.0.0.1:{int(self._answers.readline())}"

    def stop(self) -> None:
        with self._process:
            self._commands.close()  # which ends it

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def fault(self, kind: Kind, **options: Any) -> None:
        """Add a fault, with fields of Fault as options; of several that fit a request the oldest strikes."""
        self._call("fault", **asdict(Fault(kind, **options)))

    def reset(self) -> None:
        """Forget faults, log, delay and rate, and break what is under way."""
        self._delay = self._rate = 0.0
        self._call("reset")

    @property
    def log(self) -> list[Request]:
        return [Request(**entry) for entry in self._call("requests")]

    @property
    def delay(self) -> float:
        """Seconds by which every reply comes later."""
        return self._delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._delay = seconds
        self._call("pace", delay=self._delay, rate=self._rate)

    @property
    def rate(self) -> float:
        """Bytes a second that all connections have together, in both directions; 0 is without limit."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._rate = rate
        self._call("pace", delay=self._delay, rate=self._rate)

    def _call(self, name: str, **values: Any) -> Any:
        with self._lock:
            self._commands.write(json.dumps([name, values]) + "\n")
            self._commands.flush()
            answer = self._answers.readline()
        if not answer:
            raise RuntimeError(f"the proxy has ended with status {self._process.wait()}")
        return json.loads(answer)
