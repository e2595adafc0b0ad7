"""Figure 3: Eq. 4 fitted jointly to PT and CPT under several LR schedules."""

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.experiments.runs import Run
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig03.result import Result
from cpt_dynamics.figures.kit import equations, published, selection, style
from cpt_dynamics.figures.kit.joint_figure import joint_figure


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """One column for each schedule with CPT; above a row the fitted equation and, in grey, the printed one."""
    by_group: dict[str, list[Run]] = {}
    for run in selection.transfers(data.experiments, result.runs):
        by_group.setdefault(run.group, []).append(run)
    columns = [(style.schedule_label(runs[0]), [run.name for run in runs]) for runs in by_group.values()]
    fits = {role: found.chosen for role, found in result.fits.items()}
    return joint_figure(data, columns, fits, result.first_step, _printed)


def _printed(role: Role) -> tuple[str, str]:
    return "paper, 106M", equations.cpt(published.find("fig03", role).parameters)
