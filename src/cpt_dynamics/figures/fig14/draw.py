"""Figure 14: the shift term of several model sizes, with one power form for all of them."""

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig14.result import Result, Set
from cpt_dynamics.figures.kit import equations, published, style
from cpt_dynamics.figures.kit.joint_figure import Lines
from cpt_dynamics.figures.kit.shift_panels import FormCurve, ShiftPanel, equation, shift_panels
from cpt_dynamics.figures.kit.text import parameters


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """A panel for each validation set: the measured shifts by size, and the form."""
    labels = {run: f"{model}, {parameters(result.params[run])}" for run, model in result.models.items()}
    line = {**style.LAW, "color": style.BLACK}
    panels = {
        role: ShiftPanel(
            found.shifts, [FormCurve(found.form, line, name="power form, all sizes")], _equations(found, role)
        )
        for role, found in result.sets.items()
    }
    return shift_panels(panels, labels, height=3.3, columns=4)


def _equations(found: Set, role: Role) -> Lines:
    printed, spread = published.find("fig14", role, "power"), found.spread.relative
    apart = "undefined" if spread is None else f"{100 * spread:.0f} % of their size"
    return [
        equation(found.form, style.BLACK),
        ("", f"mean distance of the shifts: {apart}", style.BLACK),
        ("", f"paper, size of the shift: {equations.power_shift(printed.parameters, 's')}", style.GREY),
    ]
