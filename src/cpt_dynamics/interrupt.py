"""What Ctrl-C does before anything is begun. This module imports almost nothing: it is there before all others."""

import os


def at_once(number: int, _: object) -> None:
    """Handler of Ctrl-C while modules are imported: nothing is begun yet, and they may swallow an exception."""
    os.write(2, b"interrupted\n")
    os._exit(128 + number)
