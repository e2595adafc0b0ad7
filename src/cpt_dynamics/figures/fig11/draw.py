"""Figure 11: Eq. 4 fitted jointly to PT and to CPT on a second domain, of weaker shift."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import equations, published, selection
from cpt_dynamics.figures.kit import joint_figure as fig03


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """As Figure 3: one column for each schedule with CPT; above a row the fitted equation and the printed one."""
    columns = [
        (fig03.schedule_name(run, selection.of_runs(schedules, [run], "schedules")), [run])
        for run in fig03.moved(schedules, analysis["runs"])
    ]
    first = int(analysis["first_step"])
    return fig03.joint_figure(curves, schedules, config, columns, analysis["fits"], first, _printed)


def _printed(role: str) -> tuple[str, str]:
    found = published.find("fig11", "general" if role == "general" else "strong")
    return "paper, 106M", equations.cpt(found.parameters)
