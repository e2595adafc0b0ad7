"""Figure 15: Eq. 7, the law with model size, fitted to all sizes at once."""

from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig15.result import FitOfSet, Result
from cpt_dynamics.figures.kit import equations, published, style
from cpt_dynamics.figures.kit.joint_figure import Lines, r2
from cpt_dynamics.figures.kit.size_figure import size_figure
from cpt_dynamics.laws import get


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """A column for each size; above a row Eq. 7 with its coefficients and, in grey, the printed ones."""
    laws = {
        role: {
            model: replace(found.fit, law=get("cpt"), parameters=one.parameters) for model, one in found.at_size.items()
        }
        for role, found in result.fits.items()
    }
    lines = {role: _equation(role, found) for role, found in result.fits.items()}
    return size_figure(data, result, laws, lines, "Eq. 7, fitted to all sizes", 6.4)


def _equation(role: Role, found: FitOfSet) -> Lines:
    quality = f"$R^2$ = {r2(found.r2)} over all rows, {r2(found.r2_continual)} over those of CPT"
    one, two = equations.cpt_size(published.find("fig15", role).parameters)
    return [
        ("this fit", f"{quality} ($N$ in millions)", style.BLACK),
        *(("", text, style.BLACK) for text in equations.cpt_size(found.parameters)),
        ("paper", one, style.GREY),
        ("", two, style.GREY),
    ]
