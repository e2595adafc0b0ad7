"""How a command ends early: by a message to the user, which is no fault of the kit, or by a signal."""

import signal


class UserError(Exception):
    """Bad input that one line can explain.

    The message names the file or key at fault and the remedy. The command line prints it as
    ``error: <message>`` without a traceback and exits with status 2.
    """


def leave(number: int, _: object) -> None:
    """Handler of a signal that ends the process: by an exception, so that no temporary file is left behind."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)
