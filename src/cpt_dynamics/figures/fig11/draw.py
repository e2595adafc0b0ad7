"""Figure 11: Eq. 4 fitted jointly to PT and to CPT on a second domain, of weaker shift."""

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig11.result import Result
from cpt_dynamics.figures.kit import equations, published, selection, style
from cpt_dynamics.figures.kit.joint_figure import joint_figure


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """As Figure 3: one column for each schedule with CPT; above a row the fitted equation and the printed one."""
    moved = selection.transfers(data.experiments, result.runs)
    columns = [(style.schedule_label(run), [run.name]) for run in moved]
    return joint_figure(data, columns, result.fits, result.first_step, _printed)


def _printed(role: Role) -> tuple[str, str]:
    found = published.find("fig11", Role.GENERAL if role == Role.GENERAL else Role.STRONG)
    return "paper, 106M", equations.cpt(found.parameters)
