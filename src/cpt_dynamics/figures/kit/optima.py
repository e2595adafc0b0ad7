"""The best loss potential, peak LR and replay ratio of CPT against the weight of the D_pt loss (Fig. 8)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.loss_potential import LENGTHS
from cpt_dynamics.figures.kit.weights import KnobPanel, Optima, ReplayPanel

STRENGTHS: dict[str, style.Look] = {  # of the distribution shift
    "strong": {"color": style.VERMILION, "ls": "-"},
    "moderate": {"color": style.BLUE, "ls": "--"},
    "weak": {"color": style.GREEN, "ls": "-."},
}
FINAL: style.Look = {"ls": ":"}  # the goal by the losses at the end of CPT
AXES = {
    "potential": ("best loss potential (%)", 100.0),
    "peak_lr": (r"best peak LR ($10^{-4}$)", 1e4),
    "replay": ("best replay ratio (%)", 100.0),
}
WEIGHT = r"weight $w_1$ of the $D_\mathrm{pt}$ loss"


def optima(
    upper: Sequence[KnobPanel], replay: ReplayPanel, final: Mapping[str, Optima] | None = None
) -> tuple[Figure, pd.DataFrame]:
    """Panels for the potential and the peak LR by shift strength, and one for each law of the replay ratio.

    final: the best of the first knob by the losses at the end of CPT (for the other knobs both goals have one optimum).
    """
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 5.1), layout="constrained")
        style.pads(figure, hspace=0.04)
        top, bottom = cast(Iterable[SubFigure], figure.subfigures(2, 1))
        handles: dict[str, Artist] = {}
        tables = []
        for ax, letter, panel in zip(top.subplots(1, 2), "ab", upper, strict=True):
            tables += _curves(ax, letter, panel.curves, panel.knob, STRENGTHS, "{} shift", handles)
            if final and letter == "a":
                looks = {key: {**look, **FINAL} for key, look in STRENGTHS.items()}
                tables += _curves(ax, "a final", final, panel.knob, looks, "{}", {})
                (handles["by final losses"],) = ax.plot([], [], color=style.GREY, **FINAL)
            _axes(ax, f"({letter})", panel.knob)
        top.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)
        handles = {}
        forms = replay.forms
        for j, (ax, form) in enumerate(zip(bottom.subplots(1, len(forms), sharey=True), forms, strict=True), start=1):
            curves = replay.curves[form]
            looks = {steps: {**look, "marker": ""} for steps, look in zip(curves, LENGTHS, strict=False)}
            tables += _curves(ax, f"c {form}", curves, "replay", looks, "CPT of {} steps", handles)
            (line,) = ax.plot([0, 1], [0, 100], color=style.GREY, ls="--", lw=1.0, zorder=1)
            handles["same distribution: replay ratio = $w_1$"] = line
            tables.append(style.long(f"c {form}", "same distribution", "", [0, 1], [0, 100]))
            _axes(ax, f"(c{j}) {forms[form]}", "replay")
            if j > 1:
                ax.set_ylabel("")
        bottom.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2)
    return figure, pd.concat(tables, ignore_index=True)


def _curves(
    ax: Axes,
    panel: str,
    found: Mapping[str, Optima],
    knob: str,
    looks: Mapping[str, style.Look],
    label: str,
    handles: dict[str, Artist],
) -> list[pd.DataFrame]:
    """The best value against w1, a curve for each key of `found`."""
    tables = []
    for key, curve in found.items():
        name = label.format(f"{int(key):,}" if key.isdigit() else key)
        y = [AXES[knob][1] * value for value in curve.values]
        (handles[name],) = ax.plot(curve.weights, y, lw=1.3, **looks[key])
        tables.append(style.long(panel, knob, key, curve.weights, y))
    return tables


def _axes(ax: Axes, title: str, knob: str) -> None:
    ax.set_xlabel(WEIGHT)
    ax.set_ylabel(AXES[knob][0])
    ax.set_title(title, loc="left", pad=3, **style.LETTER)
