"""Child processes of a loader."""

import os

from support.processes import is_running
from tarn.training.streaming.processes.process import IGNORED, Child


def test_signals_that_schedulers_send_to_all_processes_end_no_child_however_young_it_is() -> None:
    children = []
    for number in IGNORED:
        children.append(Child("support.echo:serve", ()))
        os.kill(children[-1].process.pid, number)  # it has not begun to run our code
    for child in children:
        child.send("heard")
        assert child.connection.recv() == "heard"
        for number in IGNORED:
            os.kill(child.process.pid, number)
        child.send("again")
        assert child.connection.recv() == "again"
        child.close()
        assert not is_running(child.process.pid)
