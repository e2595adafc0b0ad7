"""Bundles: the plan of the working folder, a wheel that is none, and damage."""

from pathlib import Path

from cpt_dynamics import __version__, experiments
from cpt_dynamics import config as configuration
from cpt_dynamics.config import Config
from cpt_dynamics.experiments import Plan


def planned() -> tuple[Config, Plan]:
    """The plan of the working folder."""
    config = configuration.load([])
    return config, experiments.plan(experiments.load(config).runs.values(), config)


def wheel(root: Path, folder: Path) -> Path:
    """In place of `bundle.kit_wheel`, which takes seconds and has a test of its own."""
    folder.mkdir()
    path = folder / f"cpt_dynamics-{__version__}-py3-none-any.whl"
    path.write_text("a wheel of the kit")
    return path


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
