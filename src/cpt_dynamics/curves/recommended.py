"""Files of the recommended runs: what is recommended, and the curves of the runs that were trained for it."""

from pathlib import Path

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.curves import table
from cpt_dynamics.errors import UserError
from cpt_dynamics.layout import Layout

FIGURE = "recommendations"
KNOBS = ("peak_lr", "replay", "potential")


def folder(config: Config) -> Path:
    """Folder of the files below."""
    return Layout(config).root / "recommended"


def plan_path(config: Config) -> Path:
    """What is recommended, with the runs that try it (see `figures.kit.recommendations.recommend`)."""
    return folder(config) / "plan.json"


def curves_path(config: Config, knob: str) -> Path:
    """Curve table of the recommended runs of a knob."""
    return folder(config) / f"{knob}.parquet"


def schedules_path(config: Config, knob: str) -> Path:
    """The schedules that belong to it."""
    return folder(config) / f"{knob}.schedules.parquet"


def read(config: Config, knob: str) -> pd.DataFrame:
    """Curve table of the recommended runs of a knob; `UserError` where they are not trained."""
    path, schedules = curves_path(config, knob), schedules_path(config, knob)
    for file in (path, schedules):
        if not file.exists():
            raise UserError(f"{file} does not exist: train the runs with `cpt-dynamics recommended --knob {knob}`")
    return table.read(path, table.read_schedules(schedules))
