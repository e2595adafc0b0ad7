"""The program: Ctrl-C is one line from the first moment, so nothing is imported before that is seen to."""

import signal

from cpt_dynamics.interrupt import at_once


def main() -> int:
    signal.signal(signal.SIGINT, at_once)
    from cpt_dynamics import cli

    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())
