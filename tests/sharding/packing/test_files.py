import hashlib
import subprocess
import sys
import zlib
from pathlib import Path
from typing import cast

import pytest

from tarn.sharding.packing.files import SummedFile
from tarn.sharding.storage.local import read_file


def test_a_file_and_its_sum_are_of_the_same_bytes(tmp_path: Path) -> None:
    groups = [[bytes([number]) * (4000 * number), b"", b"tail"] for number in range(90)]
    with SummedFile(tmp_path / "file") as file:
        for group in groups:
            file.write(group, alone=group[0])
    data = b"".join(piece for group in groups for piece in group)
    assert (tmp_path / "file").read_bytes() == data == read_file(tmp_path / "file")
    assert file.sha256.hexdigest() == hashlib.sha256(data).hexdigest()
    assert file.crcs == [zlib.crc32(group[0]) for group in groups]


def test_a_sum_without_memory_is_an_error_and_leaves_nobody_waiting(tmp_path: Path) -> None:
    class Full:
        def update(self, data: bytes) -> None:
            raise MemoryError

    file = SummedFile(tmp_path / "file")
    file.sha256 = cast("hashlib._Hash", Full())
    for _ in range(40):
        file.write([bytes(1 << 20)])
    with pytest.raises(MemoryError):
        file.__exit__(None, None, None)


FULL = """
import resource, signal, sys
from pathlib import Path
from tarn.sharding.packing.files import SummedFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
with SummedFile(Path(sys.argv[1])) as file:
    file.write([b"x" * 3000, b"y" * 3000])
"""


def test_a_write_that_is_cut_short_is_an_error_and_leaves_no_thread_waiting(tmp_path: Path) -> None:
    command = [sys.executable, "-B", "-c", FULL, str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "OSError: [Errno 27]" in done.stderr


STRUCK = """
import sys
from pathlib import Path
from tarn.sharding.packing.files import SummedFile
SummedFile(Path(sys.argv[1]))
raise KeyboardInterrupt
"""


def test_a_signal_before_the_file_is_entered_leaves_no_thread_waiting(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STRUCK, str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "KeyboardInterrupt" in done.stderr


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "nothing")
