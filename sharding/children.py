"""Processes that a command starts: they end with it, whatever ends it, and its terminal's Ctrl-C is its alone."""

import multiprocessing
import os
import signal
import threading


def leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches every process of the terminal; the parent stops the others in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def end_with_the_parent() -> None:
    """A pool's process whose parent was killed would wait for its next task for ever."""
    threading.Thread(target=wait_for_the_end, name="tarn-parent", daemon=True).start()


def wait_for_the_end() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def killed(what: str) -> str:
    """The sentence on a pool whose process died."""
    why = "one of its processes was killed (by the system, for want of memory?)"
    return f"{what} stopped, for {why}: give fewer --workers."
