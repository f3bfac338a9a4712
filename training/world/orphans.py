"""A rank whose launcher died: nobody would end it with the others, or start it again, so it leaves by itself."""

import os
import signal
import threading
from collections.abc import Callable, Mapping

LOOK_EVERY = 1.0  # s
GRACE = 120.0  # s to save and leave in, after which it ends as it is


def leave_with_launcher(environment: Mapping[str, str] = os.environ) -> Callable[[], None]:
    """Watches the launcher of a rank of torchrun. When it is gone, this process gets SIGTERM, as from the launcher.

    Other processes may outlive their parents: a run in the background of a shell that was left is not to end. Returns
    what ends the watch.
    """
    enough = threading.Event()
    if "TORCHELASTIC_RUN_ID" in environment:
        parent = os.getppid()
        threading.Thread(target=watch, args=(parent, enough), name="tarn-launcher", daemon=True).start()
    return enough.set


def watch(parent: int, enough: threading.Event) -> None:
    while not enough.wait(LOOK_EVERY):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            if not enough.wait(GRACE):
                os._exit(128 + signal.SIGTERM)  # it waits for ranks that are gone, in all likelihood
            return
