"""Panels of shifts over the forward area of CPT: Figs. 14 and 17."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit import equations, style
from cpt_dynamics.figures.kit.joint_figure import Lines, r2, write_lines
from cpt_dynamics.figures.kit.shifts import MeasuredShifts, ShiftForm


@dataclass(frozen=True)
class FormCurve:
    """A power form and how it is drawn. run: whose it is ("": of all). name: in the legend ("": in none)."""

    form: ShiftForm
    line: style.Look
    run: str = ""
    name: str = ""


@dataclass(frozen=True)
class ShiftPanel:
    """What is drawn of one validation set, with lines of text above it."""

    shifts: MeasuredShifts
    forms: Sequence[FormCurve]
    lines: Lines


def shift_panels(
    panels: Mapping[Role, ShiftPanel], labels: Mapping[str, str], height: float, columns: int
) -> tuple[Figure, pd.DataFrame]:
    """Panels side by side. labels: run -> its name; height in inches; columns: of the legend."""
    with style.context():
        figure = Figure(figsize=(style.WIDTH, height), layout="constrained")
        style.pads(figure, hspace=0.0)
        above = 0.165 * max(len(panel.lines) for panel in panels.values())
        spec = figure.add_gridspec(2, len(panels), height_ratios=[above, height - above - 0.8])
        places = [(figure.add_subplot(spec[0, j]), figure.add_subplot(spec[1, j])) for j in range(len(panels))]
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        for (text, ax), (role, panel) in zip(places, panels.items(), strict=True):
            table = panel.shifts.table
            tables += _dots(ax, table, labels, role, handles)
            for curve in panel.forms:
                rows = table[table["run"] == curve.run] if curve.run else table
                tables.append(_form(ax, rows["s1cpt"], curve, role, handles))
            write_lines(text, panel.lines)
        style.legend_below(figure, handles, columns=columns)
    return figure, pd.concat(tables, ignore_index=True)


def equation(form: ShiftForm, colour: str) -> tuple[str, str, str]:
    """A power form with its R2, as a line of `joint_figure.write_lines`."""
    text = f"{equations.power_shift(form.parameters, equations.S1CPT)},  $R^2$ = {r2(form.r2, 3)}"
    return "", text, colour


def _dots(
    ax: Axes, table: pd.DataFrame, labels: Mapping[str, str], role: Role, handles: style.Handles
) -> list[pd.DataFrame]:
    """Measured shifts, a mark for each run."""
    tables = []
    for run, mark in zip(labels, style.TRANSFERS * len(labels), strict=False):
        part = table[table["run"] == run]
        (handles[labels[run]],) = ax.plot(part["s1cpt"], part["shift"], **{**style.DOTS, **mark, "ms": 3}, alpha=0.75)
        tables.append(style.long(f"{role}_shift", "measured", run, part["s1cpt"], part["shift"]))
    ax.axhline(0, color="#444444", lw=0.6)
    ax.set_xscale("log")
    ax.set_xlabel(r"forward area of CPT, $S_1^\mathrm{cpt}$ (LR times steps)")
    ax.set_ylabel(rf"shift of {style.SET_LABELS[role]} loss")
    return tables


def _form(ax: Axes, areas: pd.Series, curve: FormCurve, role: Role, handles: style.Handles) -> pd.DataFrame:
    seen = areas[areas > 0]
    s1cpt = np.geomspace(seen.min(), seen.max(), 200)
    values = curve.form.fit.predict({"s1cpt": s1cpt})
    (line,) = ax.plot(s1cpt, values, **curve.line)
    if curve.name:
        handles[curve.name] = line
    return style.long(f"{role}_shift", "power", curve.run, s1cpt, values)
