"""The curves that a figure is made from."""

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.curves import public, table
from cpt_dynamics.experiments import Experiments
from cpt_dynamics.layout import Layout


def of_figure(figure: str, experiments: Experiments, config: Config) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves and schedules of a figure's runs or of the public curves; tables without rows if it needs none."""
    kind = experiments.figures[figure].curves
    if kind == "public":
        return public.combined(public.read_multi_power(config.public_curves))
    if kind == "delphi":
        return public.read(kind, Layout(config).public[kind])[:2]
    if kind == "none":
        return pd.DataFrame(columns=list(table.CURVE_COLUMNS)), pd.DataFrame(columns=list(table.SCHEDULE_COLUMNS))
    return table.read_runs(Layout(config).root / "curves", experiments.runs_of(figure))
