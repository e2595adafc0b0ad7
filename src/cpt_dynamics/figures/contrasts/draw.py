"""A small panel a contrast: the effect on each loss with its interval, the margin, and rivals."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cpt_dynamics.figures.contrasts.result import Contrast, Decision, Result
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import style

COLUMNS = 4
COLOURS = {
    "supported": style.GREEN,
    "contradicted": style.VERMILION,
    "inconclusive": style.ORANGE,
    "not testable": style.GREY,
}
LABELS = {
    **style.SET_LABELS,
    "weak": r"$D_\mathrm{weak}$",
    "proxy": "proxy",
    "goal": "goal",
    "out_of_domain": "OOD",
}
UNITS = {"seed noise": "noise"}  # what is too long for a title
REACH = 1.0  # by which rivals may widen a panel, over the range of effects and margin; others are arrows at its edge
ROOM = 0.12  # left free at both ends, over the range that is drawn


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """Contrasts in the order of the registry, those that the scale plans where decisions are there.

    Each has its own axis, as their units and sizes differ.
    """
    names = [name for name in result.contrasts if not result.decisions or name in result.decisions]
    rows = -(-len(names) // COLUMNS)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 0.5 + 1.02 * rows), layout="constrained")
        style.pads(figure, hspace=0.03)
        axes: Any = figure.subplots(rows, COLUMNS, squeeze=False)
        tables = [style.long("", "", "", [], [])]
        for ax, name in zip(axes.flat, names, strict=False):
            tables += _panel(ax, name, result.contrasts[name], result.decisions.get(name))
        for ax in list(axes.flat)[len(names) :]:
            ax.axis("off")
        style.legend_below(figure, _legend(), columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _panel(ax: Axes, name: str, found: Contrast, decision: Decision | None) -> list[pd.DataFrame]:
    colour = COLOURS[decision.word] if decision else style.BLACK
    unit = f", {UNITS.get(decision.margin_in, decision.margin_in)}" if decision else ""
    ax.set_title(f"{name.replace('_', ' ')}{unit}", fontsize=style.SMALL, color=colour, pad=3)
    if not found.losses:
        _nothing(ax, found)
        return []
    tables, inside = [], []
    for i, (loss, effect) in enumerate(found.losses.items()):
        y = len(found.losses) - 1 - i
        judged = decision.losses[loss] if decision else None
        look: style.Look = {"color": COLOURS[judged.word] if judged else style.BLACK}
        units = list(effect.units.values()) if effect.alike else []
        ax.plot(units, [y - 0.24] * len(units), ls="", marker=".", ms=2.6, mew=0, alpha=0.55, color=style.BLACK)
        tables.append(style.long(name, f"{loss}: units", "", list(effect.units), list(effect.units.values())))
        if judged and judged.low is not None and judged.high is not None:
            ax.plot([judged.low, judged.high], [y, y], lw=1.6, solid_capstyle="butt", **look)
            tables.append(style.long(name, f"{loss}: interval", "", ["low", "high"], [judged.low, judged.high]))
            inside += [judged.low, judged.high]
        ax.plot(effect.estimate, y, marker="o", ms=4.4, mew=0, zorder=4, **look)
        tables.append(style.long(name, f"{loss}: effect", "", ["effect"], [effect.estimate]))
        inside += [effect.estimate, *units]
    inside += _margin(ax, decision)
    low, high = _limits(inside, [value for one in found.rivals.values() for value in one.values()])
    for rival, numbers in found.rivals.items():
        for loss, value in numbers.items():
            _rival(ax, value, len(found.losses) - 1 - list(found.losses).index(loss), low, high)
            tables.append(style.long(name, f"{loss}: rival", "", [rival], [value]))
    ax.set_xlim(low, high)
    ax.set_ylim(-0.6, len(found.losses) - 0.4)
    ax.set_yticks(range(len(found.losses)), [LABELS.get(loss, loss) for loss in reversed(found.losses)])
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=3, min_n_ticks=2))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if found.missing and decision:
        ax.text(0.98, 0.03, "so far", ha="right", transform=ax.transAxes, fontsize=style.SMALL, color=style.GREY)
    return tables


def _nothing(ax: Axes, found: Contrast) -> None:
    """Why there is no effect."""
    ax.set_xticks([])
    ax.set_yticks([])
    n = len(found.missing)
    said = f"{n} run{'s' if n > 1 else ''} missing" if n else "not defined"
    ax.text(0.5, 0.5, said, ha="center", va="center", transform=ax.transAxes, fontsize=style.SMALL, color=style.GREY)


def _margin(ax: Axes, decision: Decision | None) -> list[float]:
    """The margin as a line, the side that supports the claim shaded; returns what the panel must show."""
    if decision is None:
        return []
    far = 1e6
    spans = {
        "below": (-far, decision.margin),
        "above": (decision.margin, far),
        "within": (-decision.margin, decision.margin),
    }
    ax.axvspan(*spans[decision.expects], color=style.GREEN, alpha=0.08, lw=0, zorder=0)
    ends = [end for end in spans[decision.expects] if abs(end) < far]
    for end in ends:
        ax.axvline(end, color=style.BLACK, lw=0.9, ls="--", zorder=1)
    return ends


def _limits(inside: list[float], rivals: list[float]) -> tuple[float, float]:
    """Ends of an axis that shows all of the first and those of the second that are not far from them."""
    low, high = min(inside), max(inside)
    wide = (high - low) or abs(high) or 1.0
    near = [value for value in rivals if low - REACH * wide <= value <= high + REACH * wide]
    low, high = min([low, *near]), max([high, *near])
    room = ROOM * ((high - low) or wide)
    return low - room, high + room


def _rival(ax: Axes, value: float, y: int, low: float, high: float) -> None:
    """A tick, or an arrow at the edge beyond which the rival lies."""
    at = float(np.clip(value, low, high))
    marker = "|" if at == value else "<" if value < low else ">"
    look: style.Look = {"ms": 6 if marker == "|" else 3.2, "mew": 1.1 if marker == "|" else 0, "clip_on": False}
    ax.plot(at, y + 0.24, marker=marker, color=style.PURPLE, **look)


def _legend() -> style.Handles:
    def line(**look: Any) -> Line2D:
        return Line2D([], [], **look)

    words = {word: line(color=colour, marker="o", ms=4.4, mew=0, lw=1.6) for word, colour in COLOURS.items()}
    return {
        **words,
        "margin": line(color=style.BLACK, lw=0.9, ls="--"),
        "side of the claim": Patch(color=style.GREEN, alpha=0.15, lw=0),
        "rival (arrow: beyond)": line(color=style.PURPLE, ls="", marker="|", ms=6, mew=1.1),
        "one unit": line(color=style.BLACK, ls="", marker=".", ms=2.6, mew=0, alpha=0.55),
    }
