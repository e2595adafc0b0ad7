"""Options that commands share."""

import argparse
import math

from cpt_dynamics import config
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError, short


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--configfile",
        action="append",
        default=[],
        metavar="FILE",
        help="laid over config/config.yaml, e.g. config/scales/smoke.yaml; several .yaml may follow one another",
    )


def load_config(options: argparse.Namespace) -> Config:
    return config.load(options.configfile)


def check_positive(options: argparse.Namespace, *names: str) -> None:
    """Raise `UserError` for an option that is given and not a number of more than 0."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            remedy = "1 or more" if isinstance(value, int) else "more than 0"
            raise UserError(f"--{name.replace('_', '-')} is {value:g}: give {remedy}")


def check_between(options: argparse.Namespace, least: float, most: float, *names: str) -> None:
    """Raise `UserError` for numbers of options that are given and not from `least` to `most`; NaN is not."""
    for name in names:
        value = getattr(options, name, None)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, (int, float)) and not least <= one <= most:
                called = f"--{name.strip('_').replace('_', '-')}"
                raise UserError(f"{called} is {short(one)}: give a number from {least:,g} to {most:,g}")
