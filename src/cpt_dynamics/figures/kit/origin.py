"""What an analysis was made from, as one digest, so that results can be matched with the curves behind them."""

import hashlib

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.curves.table import BRANCH
from cpt_dynamics.experiments import Experiments
from cpt_dynamics.files import digest


def origin(figure: str, curves: pd.DataFrame, schedules: pd.DataFrame, config: Config, experiments: Experiments) -> str:
    """sha256 (hexadecimal) of a figure's curves and schedules, and of all settings that its analysis reads."""
    law, roles = (getattr(config, section).model_dump(mode="json", by_alias=True) for section in ("law", "roles"))
    entry = experiments.figures[figure].model_dump(mode="json", exclude={"title"})
    return digest([_rows(curves.drop(columns=BRANCH, errors="ignore")), _rows(schedules), law, roles, entry])


def _rows(table: pd.DataFrame) -> str:
    found = hashlib.sha256("\n".join(table.columns).encode())
    found.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return found.hexdigest()
