"""Figure 22: absolute errors of the linear combinations on the out-of-domain sets."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig22.result import Result
from cpt_dynamics.figures.kit import style

LINE: style.Look = {"color": style.BLACK, "ls": "--", "lw": 0.9}
MARKS: dict[str, tuple[str, style.Look]] = {
    "mean, runs weighing the same": (
        "mean_absolute_error",
        {"ls": "", "marker": "D", "ms": 4.5, "color": style.VERMILION, "mec": style.BLACK, "mew": 0.5, "zorder": 4},
    ),
    "largest error": (
        "worst_absolute_error",
        {"ls": "", "marker": "_", "ms": 8, "color": style.VERMILION, "zorder": 4},
    ),
    "mean of the better of the two losses alone": (
        "single_mean_absolute_error",
        {"ls": "", "marker": "s", "ms": 4, "mfc": "white", "mec": style.PURPLE, "mew": 1.1, "zorder": 4},
    ),
}


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """The density of all errors of each set, on a logarithmic axis, and a box (whiskers: 5th and 95th percentile)."""
    sets = {name: found for name, found in result.sets.items() if found.quantiles}
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 3.2), layout="constrained")
        style.pads(figure)
        ax = figure.subplots()
        if not sets:
            style.nothing(ax, "no out-of-domain set with held-out losses")
            return figure, style.long("", "", "", [], [])
        places = np.arange(len(sets))
        errors = pd.DataFrame([(name, error) for name, found in sets.items() for error in found.absolute_errors])
        errors.columns = ["set", "error"]
        ax.set_yscale("log")
        where: style.Look = {"data": errors, "x": "set", "y": "error", "ax": ax}
        sns.violinplot(**where, inner=None, cut=0, density_norm="width", color=style.SKY, alpha=0.35, linewidth=0)
        sns.boxplot(**where, whis=(5, 95), width=0.45, showfliers=False, fill=False, color=style.BLUE, linewidth=1.0)
        tables = [
            style.long(name, f"quantile {level:g}", "", [place], [value])
            for place, name, values in zip(
                places, sets, (found.quantiles or [] for found in sets.values()), strict=True
            )
            for level, value in zip(result.quantile_levels, values, strict=True)
        ]
        handles: style.Handles = {}
        for label, (key, mark) in MARKS.items():
            values = np.array([getattr(found, key) for found in sets.values()], dtype=np.float64)
            (handles[label],) = ax.plot(places, values, **mark)
            tables += [
                style.long(name, label, "", [place], [value])
                for place, name, value in zip(places, sets, values, strict=True)
            ]
        limit, printed = result.limit, result.printed_limit
        handles[f"{limit:g} nats, largest mean that counts as predicted"] = ax.axhline(limit, **LINE)
        handles[f"{printed:g} nats, largest error in the paper"] = ax.axhline(printed, **{**LINE, "color": style.GREY})
        ax.set_xticks(places, list(sets))
        ax.set_xlabel("")
        ax.grid(visible=False, axis="x")
        ax.set_ylabel("absolute error (nats/token)")
        style.legend_below(figure, handles, columns=2)
    return figure, pd.concat(tables, ignore_index=True)
