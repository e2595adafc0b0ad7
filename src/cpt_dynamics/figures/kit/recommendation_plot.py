"""Figures of the commands recommend and schedule: what two fitted laws predict for plans of CPT."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cpt_dynamics.figures.kit import style

ROWS = {
    "general": f"{style.SET_LABELS['general']} loss",
    "domain": f"{style.SET_LABELS['strong']} loss",
    "goal": "goal",
}
KNOBS = {  # label and factor of an axis
    "potential": ("loss potential (%)", 100.0),
    "peak_lr": (r"peak LR ($10^{%d}$)", 1.0),  # the power of ten that fits the values
    "replay": ("replay ratio (%)", 100.0),
    "steps": ("thousand steps of CPT", 1e-3),
}
COLOURS = (style.VERMILION, style.BLUE, style.GREEN, style.ORANGE, style.PURPLE, style.SKY)
DASHES = ("-", "--", "-.", ":")
STAR: style.Look = {"marker": "*", "ms": 8, "ls": "", "mec": style.BLACK, "mew": 0.5, "zorder": 4}
FLAT: style.Look = {"lw": 5, "alpha": 0.35, "solid_capstyle": "butt"}


def draw(result: Mapping[str, Any]) -> Figure:
    """Both final losses and the goal against each chosen knob, the others at their best values (stars).

    result: of the command recommend; a colour for each plan.
    """
    plans = result["plans"]
    knobs = list(plans[0]["knobs"])
    scales = {knob: _scale(knob, [plan["knobs"][knob]["curve"]["values"] for plan in plans]) for knob in knobs}
    with style.context():
        figure, axes = style.grid(len(knobs), 4.9, [1.0, 1.0, 1.0], share_rows=False)
        handles: style.Handles = {}
        for i, plan in enumerate(plans):
            look = {"color": COLOURS[i % len(COLOURS)], "ls": DASHES[i // len(COLOURS) % len(DASHES)]}
            for j, knob in enumerate(knobs):
                handles[_label(plan, plans)] = _column(axes[:, j], plan["knobs"][knob], scales[knob][1], look)
        for j, knob in enumerate(knobs):
            axes[-1, j].set_xlabel(scales[knob][0])
        for ax, label in zip(axes[:, 0], ROWS.values(), strict=True):
            ax.set_ylabel(label)
        (handles["best"],) = axes[0, 0].plot([], [], color="white", **STAR)
        (handles[f"within {result['tolerance']:g} of the best goal"],) = axes[0, 0].plot(
            [], [], **FLAT, color=style.GREY
        )
        style.legend_below(figure, handles, columns=min(len(handles), 4))
    return figure


def draw_schedule(curves: Mapping[str, Mapping[str, Any]], compared: pd.DataFrame) -> Figure:
    """The LR of the optimised CPT schedule and of the usual ones, and the losses predicted for each.

    curves: by schedule, arrays `step`, `lr`, `general` and `domain`, each [points]. compared: see
    `planning.BestSchedule`.
    """
    power = _power(max(float(curve["lr"].max()) for curve in curves.values()))
    goals = dict(zip(compared["schedule"], compared["objective"], strict=True))
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 2.7), layout="constrained")
        style.pads(figure)
        axes = figure.subplots(1, 3)
        handles: style.Handles = {}
        for i, (name, curve) in enumerate(curves.items()):
            line: style.Look = {"color": COLOURS[i], "lw": 1.0, "ls": "--"} if i else style.CONTINUAL
            for ax, key in zip(axes, ("lr", "general", "domain"), strict=True):
                (drawn,) = ax.plot(curve["step"], curve[key] / 10**power if key == "lr" else curve[key], **line)
            label = style.SHAPES.get(name, name)
            handles[f"{label} (goal {goals[name]:.3f})"] = drawn
        labels = [rf"LR ($10^{{{power}}}$)", ROWS["general"], ROWS["domain"]]
        for ax, label in zip(axes, labels, strict=True):
            style.steps_axis(ax, int(curves["optimised"]["step"][-1]))
            ax.set_xlabel("step of CPT")
            ax.set_ylabel(label)
        axes[0].set_ylim(bottom=0)
        style.legend_below(figure, handles, columns=3)
    return figure


def _scale(knob: str, values: Sequence[Sequence[float]]) -> tuple[str, float]:
    """Label and factor of the axis of a knob."""
    label, factor = KNOBS[knob]
    if knob != "peak_lr":
        return label, factor
    power = _power(max(max(some) for some in values))
    return label % power, 10.0**-power


def _power(value: float) -> int:
    """The power of ten below a value."""
    return math.floor(math.log10(value) + 1e-9)


def _column(axes: Any, found: Mapping[str, Any], factor: float, look: style.Look) -> Line2D:
    """The curves of one plan against one knob, down a column of panels; the flat range lies under the goal."""
    curve = found["curve"]
    x = factor * np.array(curve["values"])
    best = curve["values"].index(found["value"])
    low, high = found["flat"]
    flat = factor * np.linspace(low, high, 50)
    for ax, key in zip(axes, ROWS, strict=True):
        (line,) = ax.plot(x, curve[key], **look)
        ax.plot(x[best], curve[key][best], color=look["color"], **STAR)
    axes[-1].plot(flat, np.interp(flat, x, curve["goal"]), **FLAT, color=look["color"])
    return line


def _label(plan: Mapping[str, Any], plans: Sequence[Mapping[str, Any]]) -> str:
    lengths = len({other["steps"] for other in plans}) > 1
    return f"$w_1$ = {plan['weight']:g}" + (f", {plan['steps']:,} steps" if lengths else "")
