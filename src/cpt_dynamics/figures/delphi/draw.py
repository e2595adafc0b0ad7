"""What an LR that was not fitted changes, measured and predicted, at every base, and the errors."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.delphi.result import ABOVE, EQ4, INSIDE, NOISE, Curve, Result
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.text import parameters
from cpt_dynamics.leaderboard.scores import BETWEEN
from cpt_dynamics.leaderboard.sets import continual_alone

COLUMNS = 4
COLOURS = (style.ORANGE, style.GREEN, style.VERMILION)  # of the LRs, the lowest first
LAWS: dict[str, tuple[str, style.Look]] = {
    EQ4: ("Eq. 4", {"color": style.PURPLE, "ls": (0, (4, 1.5)), "lw": 0.9}),
    NOISE: ("noise law", {"color": style.BLUE, "ls": "-", "lw": 0.9}),
}
ENDS: dict[str, tuple[str, style.Look]] = {
    EQ4: ("Eq. 4", {"color": style.PURPLE, "marker": "s"}),
    BETWEEN: ("line through two runs", {"color": style.GREY, "marker": "D"}),
    NOISE: ("noise law", {"color": style.BLUE, "marker": "o"}),
}
KINDS = {INSIDE: "error (%),\nbetween", ABOVE: "error (%),\nabove"}


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    return drawn(data.curves, result)


def drawn(curves: pd.DataFrame, result: Result) -> tuple[Figure, pd.DataFrame]:
    """Three panels a base: losses of a mix, errors between the fitted LRs and above them; one of the errors at the end.

    Losses are less that of the run at the lowest LR, which is fitted, at the same step.

    curves: of `curves.public.delphi.read`.
    """
    rows, bases = continual_alone(curves), list(result.params)
    mix = next(iter(result.replay))
    blocks = -(-(len(bases) + 1) // COLUMNS)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 0.6 + 2.75 * blocks), layout="constrained")
        style.pads(figure)
        grid = figure.add_gridspec(3 * blocks, COLUMNS, height_ratios=[1.5, 1, 1] * blocks)
        handles: style.Handles = {}
        parts, columns = [], []
        for place, base in enumerate(bases):
            row, column = divmod(place, COLUMNS)
            panels = [figure.add_subplot(grid[3 * row + i, column]) for i in range(3)]
            columns.append(panels)
            parts += [_losses(panels[0], rows, result, base, mix, handles)]
            parts += [_errors(ax, rows, result, base, split) for ax, split in zip(panels[1:], KINDS, strict=True)]
            panels[0].set_title(f"{parameters(result.params[base])} ({base})")
        row, column = divmod(len(bases), COLUMNS)
        last = figure.add_subplot(grid[3 * row : 3 * row + 3, column])
        parts.append(_ends(last, result, handles))
        _finish(columns)
        style.legend_below(figure, handles, 4)
    return figure, pd.concat(parts, ignore_index=True)


def _losses(ax: Axes, rows: pd.DataFrame, result: Result, base: str, mix: str, handles: style.Handles) -> pd.DataFrame:
    """What the LRs that were not fitted change in the loss of one mix of a base (nats)."""
    of_mix, parts = rows[rows["run"].str.startswith(f"{base}/{mix}/")], []
    runs = [run for run in result.curves if run in set(of_mix["run"])]
    lowest = of_mix[of_mix["run"] == min(of_mix["run"])]
    for colour, run in zip(COLOURS, sorted(runs), strict=False):
        curve, factor = result.curves[run], run.split("/lr")[1]
        lines: dict[str, tuple[str, Any, style.Look]] = {
            law: (label, curve.predicted[law], line) for law, (label, line) in LAWS.items()
        }
        lines["measured"] = (f"measured, LR {factor}", _measured(of_mix, run, curve), {"color": colour, **style.DOTS})
        for series, (label, losses, line) in lines.items():
            change = losses - np.interp(curve.steps, lowest["step"], lowest["loss"])
            (handles[label],) = ax.plot(_share(curve.steps), change, **line)
            parts.append(style.long(f"{base} change of the loss", series, run, curve.steps, change))
    return pd.concat(parts, ignore_index=True)


def _measured(rows: pd.DataFrame, run: str, curve: Curve) -> np.ndarray:
    return rows[rows["run"] == run].set_index("step")["loss"].loc[curve.steps].to_numpy()


def _errors(ax: Axes, rows: pd.DataFrame, result: Result, base: str, split: str) -> pd.DataFrame:
    """Relative errors (%) of the laws on all runs of a base that were not fitted, of all mixes."""
    ax.axhline(0, color=style.GREY, lw=0.6)
    runs = [one.run for one in result.of(split, NOISE) if one.run.startswith(f"{base}/")]
    parts = []
    for run in runs:
        curve = result.curves[run]
        for law, (_, line) in LAWS.items():
            error = 100 * (np.asarray(curve.predicted[law]) / _measured(rows, run, curve) - 1)
            ax.plot(_share(curve.steps), error, **line)
            parts.append(style.long(f"{base} error (%), {split}", law, run, curve.steps, error))
    return pd.concat(parts, ignore_index=True)


def _share(steps: Any) -> np.ndarray:
    """Steps as shares of the whole run, whose last step has a loss."""
    return np.asarray(steps) / np.max(steps)


def _ends(ax: Axes, result: Result, handles: style.Handles) -> pd.DataFrame:
    """The errors of the last loss (%) above the fitted LRs: a column a base, a mark a mix."""
    ax.axhline(0, color=style.GREY, lw=0.6)
    places = {base: place for place, base in enumerate(result.params)}
    parts = []
    for offset, (entry, (label, look)) in zip((-0.2, 0.0, 0.2), ENDS.items(), strict=True):
        ends = {one.run: one.end for one in result.of(ABOVE, entry)}
        x = [places[run.split("/")[0]] for run in ends]
        percent = [100 * end for end in ends.values()]
        (handles[f"{label}, end"],) = ax.plot(np.add(x, offset), percent, ls="", ms=3.2, mew=0, **look)
        for run, place, end in zip(ends, x, percent, strict=True):
            parts.append(style.long("end error (%)", entry, run, [place], [end]))
    ax.set_xticks(list(places.values()), list(places), rotation=90)
    ax.set_title("end, above (%)")
    return pd.concat(parts, ignore_index=True)


def _finish(columns: list[list[Axes]]) -> None:
    """One scale for all panels of errors of a kind; labels on the outside."""
    for i in (1, 2):
        limits = [ax.get_ylim() for ax in (panels[i] for panels in columns)]
        low, high = min(one[0] for one in limits), max(one[1] for one in limits)
        for panels in columns:
            panels[i].set_ylim(low, high)
    for place, panels in enumerate(columns):
        for ax in panels:
            ax.set_xlim(0, 1.02)
        for ax in panels[:2]:
            ax.tick_params(labelbottom=False)
        panels[2].set_xlabel("share of CPT")
        for ax, label in zip(panels, ("loss minus that\nat the lowest LR", *KINDS.values()), strict=True):
            if place % COLUMNS == 0:
                ax.set_ylabel(label)
            elif ax is not panels[0]:
                ax.tick_params(labelleft=False)
