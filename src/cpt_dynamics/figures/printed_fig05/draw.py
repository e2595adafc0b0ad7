"""Figures 5c and 5f from printed coefficients: the final D_cpt loss against the loss potential."""

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.loss_potential import lengths, printed_range
from cpt_dynamics.figures.printed_fig05.result import Result


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """One panel for each way to start CPT; the best potential of each length has a star."""
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 2.9), layout="constrained")
        style.pads(figure)
        axes = np.atleast_1d(figure.subplots(1, len(result.panels)))
        handles: dict[str, Artist] = {}
        tables = []
        for ax, (key, panel) in zip(axes, result.panels.items(), strict=True):
            tables += lengths(ax, key, panel.lengths, panel.role, 100.0, handles)
            printed_range(ax, panel.range, handles)
            ax.set_xlabel("loss potential of the PT checkpoint (%)")
            ax.set_title(panel.title)
            ax.set_title(f"({key})", loc="left", pad=3, **style.LETTER)
        role = next(iter(result.panels.values())).role
        axes[0].set_ylabel(f"final {style.loss_label(role, result.validations[role])}")
        style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True)
