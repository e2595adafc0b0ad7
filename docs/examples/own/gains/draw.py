"""An arrow for every run, from its losses at the transfer to those at its end."""

import pandas as pd
from cpt_dynamics.figures.gains.result import Result
from matplotlib.figure import Figure

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import style


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """D_cpt loss over D_pt loss; down is better on the domain, right is worse on general text."""
    changes = pd.DataFrame([one.model_dump(mode="json") for one in result.changes])
    before, after = (changes.pivot(index="run", columns="role", values=when) for when in ("before", "after"))
    with style.context():
        figure = Figure(figsize=(style.WIDTH / 2, 2.8), layout="constrained")
        ax = figure.subplots()
        for run in before.index:
            ends = [(table.loc[run, "general"], table.loc[run, "strong"]) for table in (before, after)]
            ax.annotate("", ends[1], ends[0], arrowprops={"arrowstyle": "->", "color": style.VERMILION})
            ax.plot(*zip(*ends, strict=True), ls="", marker="o", ms=2.6, color=style.BLACK)
        labels = {role: style.loss_label(role, validation) for role, validation in result.validations.items()}
        ax.set_xlabel(labels["general"])
        ax.set_ylabel(labels["strong"])
    return figure, changes
