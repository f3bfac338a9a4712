"""The load test measures the service that it started, and nobody else's."""

import socket
import sys
from pathlib import Path

import pytest

from benchmarks import serving


def test_a_port_that_is_taken_is_told_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(serving, "PORT", port)
        monkeypatch.setattr(sys, "argv", ["serving", "no-model.pt", str(tmp_path)])
        with pytest.raises(SystemExit, match=rf"port {port} of 127\.0\.0\.1 cannot be had \(Address already in use\)"):
            serving.main()
    serving.check_free(port)
