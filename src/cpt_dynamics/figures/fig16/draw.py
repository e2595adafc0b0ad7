"""Figure 16: Eq. 4 fitted to each of the larger model sizes separately."""

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig16.result import Result
from cpt_dynamics.figures.kit import equations, published, style
from cpt_dynamics.figures.kit.joint_figure import Lines, equation
from cpt_dynamics.figures.kit.size_figure import size_figure

PAPER = {"C": "594M", "D": "1720M"}


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """A column for each size; above a row the equation of each size and, in grey, those of the paper's sizes."""
    roles = list(result.validations)
    laws = {role: {model: found[role].fit for model, found in result.fits.items()} for role in roles}
    lines = {role: _equations(result, role) for role in roles}
    return size_figure(data, result, laws, lines, "Eq. 4, fitted to each size", 7.2)


def _equations(result: Result, role: Role) -> Lines:
    ours = [line for model, found in result.fits.items() for line in equation(model, found[role])]
    theirs = [
        (f"paper, {PAPER.get(item.setting, item.setting)}", equations.cpt(item.parameters), style.GREY)
        for item in published.load()
        if (item.figure, item.role) == ("fig16", role)
    ]
    return [*ours, *theirs]
