"""A training that a workflow started ends with it: its results would be no one's, and another may start beside it."""

import os
import select
import signal
import socket
import sys
import threading
import time

VARIABLE = "CPT_DYNAMICS_WORKFLOW"  # `<host>:<process>` of the workflow, which its rules set
GRACE = 30.0  # seconds that this process has for leaving before it is killed


def end_with_workflow() -> None:
    """Let this process end, with one line, when the workflow that started it is gone; without one do nothing."""
    host, _, number = os.environ.get(VARIABLE, "").rpartition(":")
    if host == socket.gethostname() and number.isdigit() and _lives(int(number)):
        threading.Thread(target=_watch, args=(int(number),), daemon=True).start()


def _watch(process: int) -> None:
    _wait_for(process)
    if os.environ.get("RANK", "0") == "0":  # of several that train together one says it
        line = f"error: the workflow (process {process}) that started this training is gone: start it again, and the"
        print(f"{line} training goes on from its last checkpoint", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def _wait_for(process: int) -> None:
    """Return once a process has ended."""
    try:
        descriptor = os.pidfd_open(process)
    except (AttributeError, OSError):  # a system without it, or the process has just ended
        while _lives(process):
            time.sleep(1)
    else:
        select.select([descriptor], [], [])


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
