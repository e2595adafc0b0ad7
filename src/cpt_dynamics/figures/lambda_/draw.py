"""How the errors of the CPT law depend on lambda."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.lambda_.result import Result

SERIES: dict[str, tuple[str, style.Look]] = {
    "fit": ("fitted runs", {"color": style.BLACK, "ls": ":", "marker": "."}),
    "left_out": ("each fitted run predicted from the others", {"color": style.BLUE, "ls": "-", "marker": "o"}),
    "heldout": ("unseen schedules", {"color": style.VERMILION, "ls": "--", "marker": "s"}),
}


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """Mean relative error on CPT rows against the memory 1/(1-lambda), one panel for each validation set."""
    memory = np.array([point.memory for point in result.points])
    marks: list[tuple[float, str, style.Look]] = [
        (result.chosen, "configuration", {"color": style.GREEN, "lw": 3.5, "alpha": 0.45}),
        (result.best, "lowest when a fitted run is left out", {"color": style.BLUE, "lw": 1.0}),
        (result.paper, "paper", {"color": style.GREY, "lw": 1.2, "ls": "--"}),
    ]
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 2.9), layout="constrained")
        axes = figure.subplots(1, 2)
        handles: style.Handles = {}
        tables = []
        for ax, (role, validation) in zip(axes, result.validations.items(), strict=True):
            for value, name, line in marks:
                handles[rf"$\lambda$ = {value:.4g}: {name}"] = ax.axvline(1 / (1 - value), zorder=1, **line)
            errors = [point.sets[role] for point in result.points]
            series = {
                "fit": [one.fit for one in errors],
                "left_out": [one.left_out for one in errors],
                "heldout": [one.heldout for one in errors],
            }
            for key, values in series.items():
                if None in values:
                    continue
                name, line = SERIES[key]
                percent = 100 * np.array(values, dtype=np.float64)
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
