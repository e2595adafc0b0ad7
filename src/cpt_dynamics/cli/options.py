"""Options that commands share."""

import argparse

from cpt_dynamics import config
from cpt_dynamics.config import Config


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--configfile",
        nargs="+",
        default=[],
        metavar="FILE",
        help="files laid over config/config.yaml, e.g. config/scales/smoke.yaml",
    )


def load_config(options: argparse.Namespace) -> Config:
    return config.load(options.configfile)
