"""Figure 21: measured losses on out-of-domain sets against their linear combinations, one panel a set."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig21.result import Result
from cpt_dynamics.figures.kit import out_of_domain, style

COLUMNS = 4
FITTED: style.Look = {**style.DOTS, "color": style.GREY, "ms": 2.2, "alpha": 0.5}
HELDOUT: style.Look = {**style.DOTS, "color": style.VERMILION, "alpha": 0.6}
IDENTITY: style.Look = {"color": style.BLACK, "lw": 0.8, "zorder": 0.8}


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """CPT losses of the fitted and the held-out runs; above a panel the weights and the held-out error."""
    sets = result.sets
    columns = min(COLUMNS, max(1, len(sets)))
    rows = max(1, math.ceil(len(sets) / columns))
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 0.75 + 1.85 * rows), layout="constrained")
        style.pads(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        for ax, name in zip(axes.flat, sets, strict=False):
            tables += _panel(ax, data, result, name, handles)
        for ax in axes.flat[len(sets) :]:
            ax.axis("off")
        if not sets:
            style.nothing(axes.flat[0], "no out-of-domain set")
        for place, ax in enumerate(axes.flat[: len(sets)]):
            if place + columns >= len(sets):
                ax.set_xlabel("linear combination")
            if place % columns == 0:
                ax.set_ylabel("measured loss (nats)")
        if handles:
            style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True) if tables else style.long("", "", "", [], [])


def _panel(ax: Axes, data: FigureData, result: Result, name: str, handles: style.Handles) -> list[pd.DataFrame]:
    """Measured losses of a set over their linear combination, with the line on which both are equal."""
    tables, ends = [], []
    found = result.sets[name]
    for label, runs, look in (
        ("runs that were fitted", result.fitted_runs, FITTED),
        ("held-out runs", result.heldout_runs, HELDOUT),
    ):
        rows = out_of_domain.aligned(data.curves, data.config, runs, name)
        x = out_of_domain.combined(found.weights, rows)
        (handles[label],) = ax.plot(x, rows["ood"], **look)
        for run in dict.fromkeys(rows["run"]):
            at = (rows["run"] == run).to_numpy()
            tables.append(style.long(name, label, run, x[at], rows["ood"].to_numpy()[at]))
        ends += [*x, *rows["ood"]]
    low, high = min(ends), max(ends)
    (handles["equal"],) = ax.plot([low, high], [low, high], **IDENTITY)
    tables.append(style.long(name, "equal", "", [low, high], [low, high]))
    error = found.heldout.mean_absolute_error
    said = "no held-out row" if error is None else f"mean error {error:.4f}"
    ax.set_title(f"{name}\n{out_of_domain.equation(found.weights)}\n{said}", fontsize=style.SMALL, pad=3)
    ax.locator_params(nbins=4)
    return tables
