"""Figure 16: Eq. 4 fitted to each of the larger model sizes separately."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import equations, published, style
from cpt_dynamics.figures.kit import joint_figure as fig03
from cpt_dynamics.fitting import Fit
from cpt_dynamics.plots import fig15

PAPER = {"C": "594M", "D": "1720M"}


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """A column for each size; above a row the equation of each size and, in grey, those of the paper's sizes."""
    roles = list(analysis["validations"])
    laws = {
        role: {model: Fit.from_json(found[role]["fit"]) for model, found in analysis["fits"].items()} for role in roles
    }
    lines = {role: _equations(analysis["fits"], role) for role in roles}
    return fig15.by_size(curves, schedules, analysis, config, laws, lines, "Eq. 4, fitted to each size", 7.2)


def _equations(fits: Mapping[str, Any], role: str) -> fig03.Lines:
    ours = [line for model, found in fits.items() for line in fig03.equation(model, found[role])]
    theirs = [
        (f"paper, {PAPER.get(item.setting, item.setting)}", equations.cpt(item.parameters), style.GREY)
        for item in published.load()
        if (item.figure, item.role) == ("fig16", role)
    ]
    return [*ours, *theirs]
