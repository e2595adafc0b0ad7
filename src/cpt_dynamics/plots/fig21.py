"""Figure 21: measured losses on out-of-domain sets against their linear combinations, one panel a set."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.analysis import fig21
from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import style

COLUMNS = 4
FITTED: dict[str, Any] = {**style.DOTS, "color": style.GREY, "ms": 2.2, "alpha": 0.5}
HELDOUT: dict[str, Any] = {**style.DOTS, "color": style.VERMILION, "alpha": 0.6}
IDENTITY: dict[str, Any] = {"color": style.BLACK, "lw": 0.8, "zorder": 0.8}


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """CPT losses of the fitted and the held-out runs; above a panel the weights and the held-out error."""
    sets = analysis["sets"]
    columns = min(COLUMNS, max(1, len(sets)))
    rows = max(1, math.ceil(len(sets) / columns))
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 0.75 + 1.85 * rows), layout="constrained")
        style.pads(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
        tables: list[pd.DataFrame] = []
        handles: dict[str, Any] = {}
        for ax, (name, found) in zip(axes.flat, sets.items(), strict=False):
            tables += _panel(ax, curves, analysis, config, name, found, handles)
        for ax in axes.flat[len(sets) :]:
            ax.axis("off")
        if not sets:
            nothing(axes.flat[0], "no out-of-domain set")
        for place, ax in enumerate(axes.flat[: len(sets)]):
            if place + columns >= len(sets):
                ax.set_xlabel("linear combination")
            if place % columns == 0:
                ax.set_ylabel("measured loss (nats)")
        if handles:
            style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True) if tables else style.long("", "", "", [], [])


def nothing(ax: Axes, text: str) -> None:
    """An empty panel that says why it is empty."""
    ax.axis("off")
    ax.set_title(text, fontsize=style.SMALL)


def combination(weights: Mapping[str, float]) -> str:
    """Eq. 6 with its weights, as mathtext."""
    general, domain = weights["general"], weights["domain"]
    sign = "-" if domain < 0 else "+"
    return rf"${general:.3f}\,L_\mathrm{{pt}} {sign} {abs(domain):.3f}\,L_\mathrm{{cpt}}$"


def _panel(
    ax: Axes,
    curves: pd.DataFrame,
    analysis: Mapping[str, Any],
    config: Config,
    name: str,
    found: Mapping[str, Any],
    handles: dict[str, Any],
) -> list[pd.DataFrame]:
    """Measured losses of a set over their linear combination, with the line on which both are equal."""
    tables, ends = [], []
    for label, runs, look in (
        ("runs that were fitted", analysis["fitted_runs"], FITTED),
        ("held-out runs", analysis["heldout_runs"], HELDOUT),
    ):
        rows = fig21.aligned(curves, config, list(runs), name)
        x = fig21.predicted(found, rows)
        (handles[label],) = ax.plot(x, rows["ood"], **look)
        for run in dict.fromkeys(rows["run"]):
            at = (rows["run"] == run).to_numpy()
            tables.append(style.long(name, label, run, x[at], rows["ood"].to_numpy()[at]))
        ends += [*x, *rows["ood"]]
    low, high = min(ends), max(ends)
    (handles["equal"],) = ax.plot([low, high], [low, high], **IDENTITY)
    tables.append(style.long(name, "equal", "", [low, high], [low, high]))
    error = found["heldout"]["mean_absolute_error"]
    said = "no held-out row" if error is None else f"mean error {error:.4f}"
    ax.set_title(f"{name}\n{combination(found['weights'])}\n{said}", fontsize=style.SMALL, pad=3)
    ax.locator_params(nbins=4)
    return tables
