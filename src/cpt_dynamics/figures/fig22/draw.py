"""Figure 22: absolute errors of the linear combinations on the out-of-domain sets."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig22.result import Result
from cpt_dynamics.figures.kit import style

LINE: dict[str, Any] = {"color": style.BLACK, "ls": "--", "lw": 0.9}
MARKS: dict[str, tuple[str, dict[str, Any]]] = {
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
    """A box for each set (quartiles, whiskers from the 5th to the 95th percentile), on a logarithmic axis."""
    sets = {name: found for name, found in result.sets.items() if found.quantiles}
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 3.2), layout="constrained")
        style.pads(figure)
        ax = figure.subplots()
        if not sets:
            style.nothing(ax, "no out-of-domain set with held-out losses")
            return figure, style.long("", "", "", [], [])
        places = np.arange(len(sets))
        names = ("whislo", "q1", "med", "q3", "whishi")
        quantiles = [found.quantiles or [] for found in sets.values()]
        boxes = [{**dict(zip(names, values, strict=True)), "fliers": []} for values in quantiles]
        look = {"color": style.BLUE, "lw": 1.0}
        ax.bxp(
            boxes,
            positions=places,
            widths=0.45,
            showfliers=False,
            boxprops=look,
            whiskerprops=look,
            capprops=look,
            medianprops={"color": style.BLUE, "lw": 1.8},
        )
        tables = [
            style.long(name, f"quantile {level:g}", "", [place], [value])
            for place, name, values in zip(places, sets, quantiles, strict=True)
            for level, value in zip(result.quantile_levels, values, strict=True)
        ]
        handles: dict[str, Any] = {}
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
        ax.set_yscale("log")
        ax.set_xticks(places, list(sets))
        ax.grid(visible=False, axis="x")
        ax.set_ylabel("absolute error (nats/token)")
        style.legend_below(figure, handles, columns=2)
    return figure, pd.concat(tables, ignore_index=True)
