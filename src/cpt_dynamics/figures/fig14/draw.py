"""Figure 14: the shift term of several model sizes, with one power form for all of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import equations, published, style
from cpt_dynamics.figures.kit import joint_figure as fig03
from cpt_dynamics.laws import get
from cpt_dynamics.plots.fig15 import parameters


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """A panel for each validation set: the measured shifts by size, and the form."""
    with style.context():
        figure, panels = halves(list(analysis["sets"]), 3.3, 3)
        tables: list[pd.DataFrame] = []
        handles: dict[str, Any] = {}
        for role, found in analysis["sets"].items():
            text, ax = panels[role]
            labels = {
                run: f"{model}, {parameters(analysis['params'][run])}" for run, model in analysis["models"].items()
            }
            tables += shift_dots(ax, found["shifts"], labels, role, handles)
            tables.append(_form(ax, found, role, handles))
            fig03.write_lines(text, _equations(found, role))
        style.legend_below(figure, handles, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def halves(roles: list[str], height: float, lines: int) -> tuple[Figure, dict[str, tuple[Axes, Axes]]]:
    """Panels side by side, each under one for lines of text: role -> (text, panel); height in inches."""
    figure = Figure(figsize=(style.WIDTH, height), layout="constrained")
    style.pads(figure, hspace=0.0)
    spec = figure.add_gridspec(2, len(roles), height_ratios=[0.165 * lines, height - 0.165 * lines - 0.8])
    return figure, {
        role: (figure.add_subplot(spec[0, j]), figure.add_subplot(spec[1, j])) for j, role in enumerate(roles)
    }


def shift_dots(
    ax: Axes, shifts: Mapping[str, Any], labels: Mapping[str, str], role: str, handles: dict[str, Any]
) -> list[pd.DataFrame]:
    """Measured shifts over the forward area of CPT, a mark for each run; labels: run -> its name."""
    table, tables = pd.DataFrame(shifts), []
    for run, mark in zip(labels, style.TRANSFERS * len(labels), strict=False):
        part = table[table["run"] == run]
        (handles[labels[run]],) = ax.plot(part["s1cpt"], part["shift"], **{**style.DOTS, **mark, "ms": 3}, alpha=0.75)
        tables.append(style.long(f"{role}_shift", "measured", run, part["s1cpt"], part["shift"]))
    ax.axhline(0, color="#444444", lw=0.6)
    ax.set_xscale("log")
    ax.set_xlabel(r"forward area of CPT, $S_1^\mathrm{cpt}$ (LR times steps)")
    ax.set_ylabel(rf"shift of {style.SET_LABELS[role]} loss")
    return tables


def _form(ax: Axes, found: Mapping[str, Any], role: str, handles: dict[str, Any]) -> pd.DataFrame:
    s1cpt = _grid(found["shifts"])
    values = get("shift_power").predict(found["form"]["parameters"], {"s1cpt": s1cpt})
    (handles["power form, all sizes"],) = ax.plot(s1cpt, values, **{**style.LAW, "color": style.BLACK})
    return style.long(f"{role}_shift", "power", "", s1cpt, values)


def _grid(shifts: Mapping[str, Any]) -> np.ndarray:
    seen = np.array([value for value in shifts["s1cpt"] if value > 0])
    return np.geomspace(seen.min(), seen.max(), 200)


def _equations(found: Mapping[str, Any], role: str) -> fig03.Lines:
    form, printed = found["form"], published.find("fig14", role, "power")
    spread = found["spread"]["relative"]
    apart = "undefined" if spread is None else f"{100 * spread:.0f} % of their size"
    return [
        (
            "",
            f"{equations.power_shift(form['parameters'], equations.S1CPT)},  $R^2$ = {fig03.r2(form['r2'], 3)}",
            style.BLACK,
        ),
        ("", f"mean distance of the shifts: {apart}", style.BLACK),
        ("", f"paper, size of the shift: {equations.power_shift(printed.parameters, 's')}", style.GREY),
    ]
