"""Errors of every law on CPT runs that it was not fitted to."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from cpt_dynamics.config import Role
from cpt_dynamics.figures.comparison.result import LawsOfSet, Result
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.law_labels import LABELS

COLOURS = {True: style.BLUE, False: style.GREY}  # with and without a shift term


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """One panel for each validation set: a dot for a law's error over all held-out rows, a tick for each run."""
    names = _ordered(result.sets)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 1.3 + 0.2 * len(names)), layout="constrained")
        style.pads(figure)
        axes: Any = figure.subplots(1, len(result.sets), sharey=True, squeeze=False)[0]
        handles: style.Handles = {}
        tables = []
        for ax, (role, found) in zip(axes, result.sets.items(), strict=True):
            tables.append(_panel(ax, found, role, names, result.noise_relative[role], handles))
            ax.set_title(f"{style.SET_LABELS[role]} ({found.validation})")
        some = next(iter(result.sets.values())).laws
        axes[0].set_yticks(
            range(len(names)), [f"{LABELS.get(name, name)} ({some[name].n_parameters})" for name in reversed(names)]
        )
        axes[0].set_ylim(-0.6, len(names) - 0.4)
        style.panel_letters(np.array(axes))
        style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True)


def _ordered(sets: Mapping[Role, LawsOfSet]) -> list[str]:
    """The laws by their mean rank over the validation sets, best first."""
    names = list(next(iter(sets.values())).laws)
    last = len(names) + 1
    return sorted(names, key=lambda name: sum(found.laws[name].rank or last for found in sets.values()))


def _panel(
    ax: Axes,
    found: LawsOfSet,
    role: Role,
    names: list[str],
    noise: float | None,
    handles: style.Handles,
) -> pd.DataFrame:
    """The errors of all laws on one validation set, in %."""
    tables = []
    for i, name in enumerate(names):
        one, y = found.laws[name], len(names) - 1 - i
        colour = COLOURS[one.shift]
        runs = {run: 100 * error for run, error in one.runs.items() if error}
        (tick,) = ax.plot(list(runs.values()), [y] * len(runs), ls="", marker="|", ms=6, mew=0.5, color=colour)
        tables.append(style.long(role, "one run (%)", name, list(runs), list(runs.values())))
        if not one.error:
            continue
        best = name == found.best
        look: style.Look = {"ls": "", "marker": "*" if best else "o", "ms": 9 if best else 4.6, "mew": 0}
        (dot,) = ax.plot(100 * one.error, y, color=style.VERMILION if best else colour, zorder=3, **look)
        kind = "lowest" if best else "law with a shift term" if one.shift else "law without one"
        handles.setdefault(kind, dot)
        handles.setdefault("one held-out run", tick)
        tables.append(style.long(role, "all rows (%)", name, [name], [100 * one.error]))
    if noise:
        handles["seed noise of a final loss"] = ax.axvline(100 * noise, color=style.ORANGE, lw=1.1, ls="--", zorder=1)
        tables.append(style.long(role, "seed noise (%)", "", ["noise"], [100 * noise]))
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("mean relative error (%)")
    return pd.concat(tables, ignore_index=True)
