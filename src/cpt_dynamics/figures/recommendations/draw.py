"""The goal of Eq. 5 against each knob: a trained grid, the laws' prediction, and the trained recommendation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.recommendations.result import Knob, Result, Trained

LABELS = {
    "peak_lr": "peak LR of CPT (% of that of PT)",
    "replay": "replay ratio (%)",
    "potential": "loss potential (%)",
}
UNIT = 100.0  # knobs are drawn in %
COLOURS = (style.VERMILION, style.BLUE, style.GREEN)  # a weight each
STARS = (12.0, 9.0, 6.0)  # sizes by weight, so that stars on the same point all show
GRID: style.Look = {**style.DOTS, "ms": 4.5, "zorder": 3}
PREDICTED: style.Look = {"ls": "", "marker": "*", "ms": 10, "mfc": "white", "mew": 1.0, "zorder": 4}
TRAINED: style.Look = {"ls": "", "marker": "*", "ms": 10, "mec": style.BLACK, "mew": 0.5, "zorder": 5}


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """A panel for each knob. Goals are drawn as distances from the best of the grid at the same weight."""
    knobs = result.knobs
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 3.3), layout="constrained")
        style.pads(figure)
        axes = np.atleast_1d(figure.subplots(1, len(knobs)))
        handles: style.Handles = {}
        tables: list[pd.DataFrame] = []
        for ax, (knob, found) in zip(axes, knobs.items(), strict=True):
            ax.axhline(0, color=style.GREY, lw=0.8, ls=":", zorder=0.5)
            for one, colour, size in zip(found.recommendations, COLOURS, STARS, strict=False):
                tables += _weight(ax, knob, found, one, {"color": colour, "ms": size}, handles)
            ax.set_xlabel(LABELS.get(knob, knob))
        axes[0].set_ylabel("goal minus the best\nof the grid (nats/token)")
        style.panel_letters(axes)
        style.legend_below(figure, _with_kinds(axes[0], handles), columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _weight(
    ax: Axes, knob: str, found: Knob, one: Trained, look: style.Look, handles: style.Handles
) -> list[pd.DataFrame]:
    """Grid, law, prediction and outcome for one weight; returns the rows of the table, goals as they are."""
    weight, best = one.weight, one.best_of_grid.goal
    loss = {role: np.array(values, dtype=np.float64) for role, values in found.predicted.loss.items()}
    law = weight * loss[Role.GENERAL] + (1 - weight) * loss[Role.STRONG]
    size, colour = {"ms": look["ms"]}, look["color"]
    series: Sequence[tuple[str, Any, Any, style.Look]] = (
        ("law", found.predicted.values, law, {"lw": 1.2}),
        ("grid", [point.value for point in found.grid], list(one.grid.values()), GRID),
        ("recommended, predicted", [one.value], [one.predicted.goal], {**PREDICTED, **size}),
        ("recommended, trained", [one.value], [one.goal], {**TRAINED, **size}),
    )
    name = f"$w_1$ = {weight:g}"
    tables = []
    for kind, x, y, drawn in series:
        (line,) = ax.plot(UNIT * np.array(x), np.array(y) - best, color=colour, **drawn)
        if kind == "law":
            handles[name] = line
        tables.append(style.long(knob, kind, f"w1 = {weight:g}", x, y).assign(best_of_grid=best))
    return tables


def _with_kinds(ax: Axes, handles: Mapping[str, Any]) -> style.Look:
    """Entries of the legend: a colour for each weight, and what lines and marks are."""
    kinds = {
        "law": {"lw": 1.2},
        "trained grid": GRID,
        "recommended: predicted": PREDICTED,
        "recommended: trained": TRAINED,
    }
    marks = {text: ax.plot([], [], color=style.GREY, **look)[0] for text, look in kinds.items()}
    return {**handles, **marks}
