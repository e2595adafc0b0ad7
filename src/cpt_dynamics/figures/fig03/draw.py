"""Figure 3: Eq. 4 fitted jointly to PT and CPT under several LR schedules."""

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig03.result import Result
from cpt_dynamics.figures.kit import equations, published, selection, style
from cpt_dynamics.figures.kit.joint_figure import joint_figure, moved


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """One column for each schedule with CPT; above a row the fitted equation and, in grey, the printed one."""
    by_group: dict[str, list[str]] = {}
    for run in moved(data.schedules, result.runs):
        by_group.setdefault(selection.group(run), []).append(run)
    plans = {group: selection.of_runs(data.schedules, runs[:1], "schedules") for group, runs in by_group.items()}
    columns = [(style.schedule_label(group, plans[group]), runs) for group, runs in by_group.items()]
    fits = {role: found.chosen for role, found in result.fits.items()}
    return joint_figure(data, columns, fits, result.first_step, _printed)


def _printed(role: Role) -> tuple[str, str]:
    return "paper, 106M", equations.cpt(published.find("fig03", role).parameters)
