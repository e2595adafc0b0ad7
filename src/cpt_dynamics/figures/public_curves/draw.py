"""The annealing law and its rivals on public curves that they were not fitted to."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from cpt_dynamics import curves as tables
from cpt_dynamics.curves.public import of_size
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.public_curves.laws import AUTHORS, LABELS
from cpt_dynamics.figures.public_curves.result import Result, Size
from cpt_dynamics.fitting.comparison import MERGE
from cpt_dynamics.laws import get

# Test runs, by how the LR falls.
RUNS: dict[str, tuple[str, str]] = {
    "constant_72000": ("constant", style.GREY),
    "cosine_72000": ("cosine", style.BLACK),
    "wsd_20000_24000": ("WSD, exponential", style.VERMILION),
    "wsdld_20000_24000": ("WSD, linear", style.SKY),
    "wsdcon_3": ("two stages, to 10 %", style.GREEN),
    "wsdcon_18": ("two stages, to 60 %", style.ORANGE),
}
TICKS = (3000, 10000, 30000)  # steps
SCALED = 5000  # step from which the losses set the scale of their axis
PERCENT = (0.1, 0.2, 0.5, 1, 2)
MARKERS = ("o", "s", "D")  # of the sizes
ROWS = ("all", "unseen")
ROOM = 0.24  # between the sizes of one law, of the distance between two laws


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    return drawn(data.curves, data.schedules, result)


def drawn(curves: pd.DataFrame, schedules: pd.DataFrame, result: Result) -> tuple[Figure, pd.DataFrame]:
    """One column for each size with the test runs: losses, and errors of three laws; below, every law's mean error.

    curves, schedules: of `curves.public.combined`. The three laws are the annealing law under the convention of the
    warm-up that fits the fitted runs best (ringed below), and the Multi-Power Law with its authors' parameters and as
    fitted here.
    """
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 7.8), layout="constrained")
        style.pads(figure)
        halves: Any = figure.subfigures(2, 1, height_ratios=[5.4, 2.4])
        above, below = halves
        sizes = list(result.sizes)
        axes = above.subplots(4, len(sizes), squeeze=False, sharex=True, gridspec_kw={"height_ratios": [1.5, 1, 1, 1]})
        parts: list[pd.DataFrame] = []
        handles: style.Handles = {}
        for j, size in enumerate(sizes):
            parts += _column(axes[:, j], curves, schedules, result, size, handles)
        _finish(axes, sizes)
        above.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)
        parts.append(_means(below, result))
        style.panel_letters(np.append(axes.flat, below.axes))
    return figure, pd.concat(parts, ignore_index=True)


def _drawn_laws(annealing: str) -> dict[str, str]:
    """The laws whose errors are drawn step by step, and what they are called."""
    return {
        annealing: "annealing",
        AUTHORS: "Multi-Power,\nauthors",
        "multi_power": "Multi-Power,\nfitted here",
    }


def _column(
    axes: np.ndarray,
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    result: Result,
    size: str,
    handles: style.Handles,
) -> list[pd.DataFrame]:
    """Losses of the test runs of one size with the annealing law, and the relative errors of each law in %."""
    entry, parts = result.sizes[size], []
    predicted = _predictions(curves, schedules, result, size)
    annealing = entry.annealing
    for run, (label, colour) in RUNS.items():
        part = predicted[predicted["run"] == run]
        (handles[label],) = axes[0].plot(part["step"], part["loss"], color=colour, lw=2.4, alpha=0.6)
        parts.append(style.long(f"{size} loss", "measured", run, part["step"], part["loss"]))
    for run in RUNS:
        part = predicted[predicted["run"] == run]
        (handles["annealing law"],) = axes[0].plot(part["step"], part[annealing], color=style.BLUE, lw=0.7)
        parts.append(style.long(f"{size} loss", annealing, run, part["step"], part[annealing]))
    style.loss_limits(axes[0], [predicted.loc[predicted["step"] >= SCALED, "loss"]])
    for ax, law in zip(axes[1:], _drawn_laws(entry.annealing), strict=True):
        ax.axhline(0, color=style.GREY, lw=0.6)
        for run, (_, colour) in RUNS.items():
            part = predicted[predicted["run"] == run]
            error = 100 * (part[law] / part["loss"] - 1)
            ax.plot(part["step"], error, color=colour, lw=0.9)
            parts.append(style.long(f"{size} error (%)", law, run, part["step"], error))
    return parts


def _predictions(curves: pd.DataFrame, schedules: pd.DataFrame, result: Result, size: str) -> pd.DataFrame:
    """Rows of the test runs with a column for each drawn law."""
    entry, plans = result.sizes[size], of_size(schedules, size)
    rows = of_size(curves, size)
    rows = rows[rows["run"].isin(result.test_runs)]
    found = {}
    for name in _drawn_laws(entry.annealing):
        law = entry.comparison.laws[name]
        features = tables.features(rows, plans, result.lambda_, result.warmups[name], merge=MERGE)
        found[name] = get(law.law).predict(law.parameters, features)
    return rows.assign(**found)


def _finish(axes: np.ndarray, sizes: list[str]) -> None:
    """Titles, and one scale of the errors for all panels."""
    for ax, size in zip(axes[0], sizes, strict=True):
        ax.set_title(size)
    axes[0, 0].set_ylabel("loss")
    for ax, name in zip(axes[1:, 0], _drawn_laws("").values(), strict=True):
        ax.set_ylabel(f"{name}\nerror (%)")
    top = max(abs(limit) for ax in axes[1:].flat for limit in ax.get_ylim())
    for ax in axes[1:].flat:
        ax.set_ylim(-top, top)
    for ax in axes[1:, 1:].flat:
        ax.tick_params(labelleft=False)
    for ax in axes[-1]:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(FixedLocator(TICKS))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:g}k"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("step")


def _means(figure: Any, result: Result) -> pd.DataFrame:
    """Mean relative error over the test runs: every law, every size, over all rows and over unseen ones."""
    ax: Axes = figure.subplots()
    parts = []
    colours = dict(zip(result.sizes, (style.BLACK, style.VERMILION, style.BLUE), strict=False))
    handles: style.Handles = {}
    for i, (size, entry) in enumerate(result.sizes.items()):
        y = np.arange(len(LABELS))[::-1] - ROOM * (i - (len(colours) - 1) / 2)
        for kind in ROWS:
            percent = [_error(entry, law, kind) for law in LABELS]
            fill = colours[size] if kind == "all" else "white"
            line: style.Look = {"ls": "", "ms": 3.8, "mew": 0.8, "marker": MARKERS[i % 3], "mfc": fill}
            (handles[f"{size}, {kind} rows"],) = ax.plot(percent, y, color=colours[size], **line)
            parts.append(style.long(f"{size} mean error (%)", f"{kind} rows", "", list(LABELS), percent))
        percent = [_error(entry, entry.annealing, kind) for kind in ROWS]
        place = y[list(LABELS).index(entry.annealing)]
        ring: style.Look = {"ls": "", "marker": "o", "ms": 8.5, "mfc": "none", "mew": 0.6, "color": style.GREY}
        (handle,) = ax.plot(percent, [place] * len(ROWS), zorder=1.5, **ring)
    handles["convention of the\nwarm-up that fits best"] = handle
    ax.set_yticks(np.arange(len(LABELS))[::-1], list(LABELS.values()))
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(PERCENT))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("mean relative error over the six test runs (%)")
    figure.legend(list(handles.values()), list(handles), loc="outside right center")
    return pd.concat(parts, ignore_index=True)


def _error(entry: Size, law: str, kind: str) -> float:
    """Mean relative error of a law over the test runs, in %."""
    means = entry.comparison.laws[law].mean
    error = (means.all if kind == "all" else means.unseen).mean_relative_error
    return float("nan") if error is None else 100 * error
