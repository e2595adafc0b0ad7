"""How the errors of the CPT law depend on lambda."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import style

SERIES: dict[str, tuple[str, dict[str, Any]]] = {
    "fit": ("fitted runs", {"color": style.BLACK, "ls": ":", "marker": "."}),
    "left_out": (
        "each fitted run predicted from the others",
        {"color": style.BLUE, "ls": "-", "marker": "o"},
    ),
    "heldout": ("unseen schedules", {"color": style.VERMILION, "ls": "--", "marker": "s"}),
}
MARKS: dict[str, tuple[str, dict[str, Any]]] = {
    "chosen": ("configuration", {"color": style.GREEN, "lw": 3.5, "alpha": 0.45}),
    "best": ("lowest when a fitted run is left out", {"color": style.BLUE, "lw": 1.0}),
    "paper": ("paper", {"color": style.GREY, "lw": 1.2, "ls": "--"}),
}


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """Mean relative error on CPT rows against the memory 1/(1-lambda), one panel for each validation set."""
    points = analysis["points"]
    memory = np.array([point["memory"] for point in points])
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 2.9), layout="constrained")
        axes = figure.subplots(1, 2)
        handles: dict[str, Any] = {}
        tables = []
        for ax, (role, validation) in zip(axes, analysis["validations"].items(), strict=True):
            for key, (name, line) in MARKS.items():
                label = rf"$\lambda$ = {analysis[key]:.4g}: {name}"
                handles[label] = ax.axvline(1 / (1 - analysis[key]), zorder=1, **line)
            for key, (name, line) in SERIES.items():
                values = [point["sets"][role][key] for point in points]
                if any(value is None for value in values):
                    continue
                percent = 100 * np.array(values)
                (handles[name],) = ax.plot(memory, percent, ms=3.2, lw=1.1, **line)
                tables.append(style.long(role, key, "", memory, percent))
            ax.set_xscale("log")
            ax.set_ylim(bottom=0)
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            ax.set_xlabel(r"memory $1/(1-\lambda)$ in steps")
            ax.set_title(f"{style.SET_LABELS[role]} ({validation})")
        axes[0].set_ylabel("mean relative error in CPT (%)")
        style.panel_letters(np.array(axes))
        style.legend_below(figure, handles, columns=2)
    table = pd.concat(tables, ignore_index=True).rename(columns={"x": "memory", "y": "percent"})
    return figure, table
