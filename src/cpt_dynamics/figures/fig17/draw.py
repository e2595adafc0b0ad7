"""Figure 17: the shift term with other batches and sequence lengths, each with a power form of its own."""

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
from cpt_dynamics.plots.fig14 import halves, shift_dots


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """A panel for each validation set: shifts and their forms, a colour for each setting."""
    labels = {run: label(setting) for run, setting in analysis["settings"].items()}
    colours = {run: str(mark["color"]) for run, mark in zip(labels, style.TRANSFERS * len(labels), strict=False)}
    with style.context():
        lines = {role: _equations(found["runs"], role, colours) for role, found in analysis["sets"].items()}
        figure, panels = halves(list(lines), 4.4, max(len(text) for text in lines.values()))
        tables: list[pd.DataFrame] = []
        handles: dict[str, Any] = {}
        for role, found in analysis["sets"].items():
            text, ax = panels[role]
            tables += shift_dots(ax, found["shifts"], labels, role, handles)
            for run, form in found["runs"].items():
                tables.append(_form(ax, found["shifts"], form["parameters"], run, role, colours[run]))
            fig03.write_lines(text, lines[role])
        style.legend_below(figure, handles, columns=2)
    return figure, pd.concat(tables, ignore_index=True)


def label(setting: Mapping[str, Any]) -> str:
    """A batch in words."""
    text = f"{setting['sequences']} sequences of {setting['length']} tokens"
    return text if setting["changed"] else f"{text} (as in PT)"


def _form(
    ax: Axes, shifts: Mapping[str, Any], p: Mapping[str, float], run: str, role: str, colour: str
) -> pd.DataFrame:
    seen = [s for s, name in zip(shifts["s1cpt"], shifts["run"], strict=True) if name == run and s > 0]
    s1cpt = np.geomspace(min(seen), max(seen), 200)
    values = get("shift_power").predict(p, {"s1cpt": s1cpt})
    ax.plot(s1cpt, values, color=colour)
    return style.long(f"{role}_shift", "power", run, s1cpt, values)


def _equations(runs: Mapping[str, Any], role: str, colours: Mapping[str, str]) -> fig03.Lines:
    """The form of each setting in its colour and, in grey, those of the paper."""
    ours = [
        (
            "",
            f"{equations.power_shift(form['parameters'], equations.S1CPT)},  $R^2$ = {fig03.r2(form['r2'], 3)}",
            colours[run],
        )
        for run, form in runs.items()
    ]
    theirs = [
        ("", f"paper, {_short(item.setting)}: {equations.power_shift(item.parameters, 's')}", style.GREY)
        for item in published.load()
        if (item.figure, item.role) == ("fig17", role)
    ]
    return [*ours, *theirs]


def _short(setting: str) -> str:
    """`sequence 8K, batch 512` as `8K x 512`."""
    return setting.removeprefix("sequence ").replace(", batch ", "\u00d7")
