"""Figure 7: final losses against the peak LR of CPT, and CPT from before and after the critical point."""

import math

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig07.result import CriticalPoint, FinalLosses, Result, Turned
from cpt_dynamics.figures.kit import loss_potential, style

UNIT = 1e3  # the LR is drawn in thousandths
COLUMNS = 4  # runs side by side
RAW: style.Look = {**style.DOTS, "color": style.VERMILION, "alpha": 0.35}
SMOOTH: style.Look = {"color": style.VERMILION, "lw": 1.3}
LAW: style.Look = {**style.LAW, "ls": (0, (2.5, 1.5))}
START: style.Look = {"color": style.GREY, "ls": ":", "lw": 1.0}
CRITICAL: style.Look = {"color": style.BLACK, "ls": "--", "lw": 1.0}
ROOM = 0.5  # how far, in units of the losses' range, a critical point may lie outside it and still be shown


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """Above, what the law of Fig. 3 predicts; below, the D_pt loss of one run a panel during CPT."""
    runs = result.runs
    rows = math.ceil(len(runs) / COLUMNS)
    columns = min(len(runs), COLUMNS)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 3.2 + 1.9 * rows), layout="constrained")
        style.pads(figure)
        spec = figure.add_gridspec(1 + rows, 2 * columns, height_ratios=[1.15] + [1.0] * rows)
        handles: dict[str, Artist] = {}
        tables: list[pd.DataFrame] = []
        above = [figure.add_subplot(spec[0, part]) for part in (slice(0, columns), slice(columns, 2 * columns))]
        for ax, letter, role in zip(above, "ab", (Role.GENERAL, Role.STRONG), strict=True):
            tables += loss_potential.lengths(ax, letter, result.lengths, role, UNIT, handles)
            tables += _measured(ax, letter, result.measured, role, handles)
            ax.set_xlabel(r"peak LR of CPT ($10^{-3}$)")
            ax.set_ylabel(f"final {style.loss_label(role, result.validations[role])}")
            ax.set_title(f"({letter})", loc="left", pad=3, **style.LETTER)
        for i, (name, run) in enumerate(runs.items()):
            row, column = divmod(i, COLUMNS)
            ax = figure.add_subplot(spec[1 + row, 2 * column : 2 * column + 2])
            letter = f"c{i + 1}"
            tables += _run(ax, letter, name, run, result.critical, handles)
            ax.set_title(f"({letter}) {name.replace('_', ' ')}", loc="left", pad=3, **style.LETTER)
            ax.set_xlabel("CPT step")
            if column == 0:
                ax.set_ylabel(style.loss_label("general", result.validations[Role.GENERAL]))
        style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True)


def _measured(
    ax: Axes, letter: str, measured: list[FinalLosses], role: Role, handles: dict[str, Artist]
) -> list[pd.DataFrame]:
    """Final losses of the runs that the law predicts here."""
    if not measured:
        return []
    x, y = [UNIT * item.peak_lr for item in measured], [item.loss[role] for item in measured]
    (handles["measured"],) = ax.plot(x, y, **loss_potential.DOT)
    return [style.long(letter, "measured", "", x, y)]


def _run(
    ax: Axes, letter: str, name: str, run: Turned, critical: CriticalPoint, handles: dict[str, Artist]
) -> list[pd.DataFrame]:
    """Measured D_pt loss during CPT, its start and turning length, the law, and the critical point if it is near."""
    step, loss = np.array(run.curve.step), np.array(run.curve.loss)
    smooth, ends = np.array(run.curve.smoothed), [0, run.steps]
    (handles["measured in CPT"],) = ax.plot(step, loss, **RAW)
    (handles["mean of neighbouring evaluations"],) = ax.plot(step, smooth, **SMOOTH)
    (handles["loss at the transfer"],) = ax.plot(ends, [run.start] * 2, **START)
    tables = [
        style.long(letter, "measured", name, step, loss),
        style.long(letter, "smoothed", name, step, smooth),
        style.long(letter, "start", name, ends, [run.start] * 2),
    ]
    seen = [pd.Series(loss), pd.Series([run.start])]
    if run.law is not None:
        x, y = np.array(run.law.curve.step), np.array(run.law.curve.loss)
        (handles["Eq. 4 of Figure 3"],) = ax.plot(x, y, **LAW)
        tables.append(style.long(letter, "Eq. 4", name, x, y))
        seen.append(pd.Series(y))
        tables += _critical(ax, letter, name, run, critical, seen, handles)
    if run.turning:
        (star,) = ax.plot([run.turning], [run.start], **{**loss_potential.STAR, "mfc": style.GREEN})
        handles["turning length, measured"] = star
        tables.append(style.long(letter, "turning length", name, [run.turning], [run.start]))
    style.loss_limits(ax, seen)
    ax.set_xlim(-0.02 * run.steps, 1.02 * run.steps)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    return tables


def _critical(
    ax: Axes,
    letter: str,
    name: str,
    run: Turned,
    critical: CriticalPoint,
    seen: list[pd.Series],
    handles: dict[str, Artist],
) -> list[pd.DataFrame]:
    """The critical point with the range of its fits, where it does not dwarf the losses of the panel."""
    losses = pd.concat(seen)
    low, high = float(losses.min()), float(losses.max())
    point = critical.point
    if max(low - point, point - high) > ROOM * (high - low):
        return []
    ends = [0, run.steps]
    ax.axhspan(*critical.range, **loss_potential.BAND)
    (handles["critical point"],) = ax.plot(ends, [point] * 2, **CRITICAL)
    seen.append(pd.Series([point]))
    return [style.long(letter, "critical point", name, ends, [point] * 2)]
