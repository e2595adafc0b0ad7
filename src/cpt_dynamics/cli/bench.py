"""bench: the door to `benchmarks/`, which lies beside `src/` in a checkout and is not installed."""

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

from cpt_dynamics.errors import UserError

CHECKOUT = Path(__file__).parents[3]


def add_bench(parser: argparse.ArgumentParser) -> None:
    _command().add_options(parser)


def run_bench(options: argparse.Namespace) -> int:
    return int(_command().run(options))


def _command() -> Any:
    if not (CHECKOUT / "benchmarks/command.py").exists():
        raise UserError("benchmarks are not installed with the package: install it from a checkout (pip install -e .)")
    if str(CHECKOUT) not in sys.path:
        sys.path.insert(0, str(CHECKOUT))  # processes that a benchmark starts inherit it
    return importlib.import_module("benchmarks.command")
