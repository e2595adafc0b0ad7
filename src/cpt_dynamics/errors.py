"""The one exception that is a message to the user rather than a fault of the kit."""


class UserError(Exception):
    """Bad input that one line can explain.

    The message names the file or key at fault and the remedy. The command line prints it as
    ``error: <message>`` without a traceback and exits with status 2.
    """
