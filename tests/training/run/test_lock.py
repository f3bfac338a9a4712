import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tarn.sharding.errors import TarnError
from tarn.training.run.lock import RunLock

HOLD = "import sys, time; from pathlib import Path; from tarn.training.run.lock import RunLock; lock = RunLock(Path(sys.argv[1])); print('taken', flush=True); time.sleep(600)"  # noqa: E501  a program of one line


def test_a_run_folder_has_one_owner_whose_death_sets_it_free(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "taken\n"
            with pytest.raises(TarnError, match=rf"in use by process {holder.pid} on "):
                RunLock(tmp_path, patience=0)
        finally:
            holder.send_signal(signal.SIGKILL)
    lock = RunLock(tmp_path, patience=0)
    with pytest.raises(TarnError, match="in use"):
        RunLock(tmp_path, patience=0)
    lock.release()
    RunLock(tmp_path, patience=0).release()


def test_a_run_folder_that_is_a_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TarnError, match=r"the run folder .*file.* cannot be written"):
            RunLock(out)
