"""Figure 6: the shift of two domains, and of CPT on the strong one with replay."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig06.result import Result, Shift, Side
from cpt_dynamics.figures.kit import optima, style

RATIOS: tuple[style.Look, ...] = (  # from no replay up
    {"color": style.VERMILION, "marker": "o"},
    {"color": style.ORANGE, "marker": "s"},
    {"color": style.PURPLE, "marker": "^"},
    {"color": style.SKY, "marker": "D"},
    {"color": style.BLACK, "marker": "v"},
)
DOMAINS = {
    Role.WEAK: {"color": optima.STRENGTHS["weak"]["color"], "marker": "^"},
    Role.STRONG: {"color": optima.STRENGTHS["strong"]["color"], "marker": "o"},
}
SIDES: tuple[Side, ...] = ("general", "own")
CLEAR = 0.05  # of the largest shift of a panel: a form below it is not drawn, since it follows noise


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """Above by domain, below by replay ratio: measured shifts and the power forms fitted to them."""
    names = result.validations
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 5.2), layout="constrained")
        style.pads(figure)
        axes = figure.subplots(2, 2, sharex="col")
        style.panel_letters(axes)
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        for ax, letter, side in zip(axes[0], "ab", SIDES, strict=True):
            domains = {f"{role} shift ({names[role]})": result.domains.sets[side][role] for role in DOMAINS}
            tables += _panel(ax, letter, domains, tuple(DOMAINS.values()), handles)
            ax.tick_params(labelbottom=False)
        for ax, letter, (role, found) in zip(axes[1], "cd", result.replay.sets.items(), strict=True):
            runs = sorted(found.runs.values(), key=lambda one: one.replay)
            tables += _panel(ax, letter, {f"{100 * one.replay:.0f} % replay": one for one in runs}, RATIOS, handles)
            ax.set_xlabel("CPT step")
            ax.set_ylabel(f"shift of {style.loss_label(role, names[role])}")
        axes[0, 0].set_ylabel(f"shift of {style.loss_label(Role.GENERAL, names[Role.GENERAL])}")
        axes[0, 1].set_ylabel("shift of the domain's own loss")
        handles["power form"] = axes[0, 0].plot([], [], color=style.GREY, lw=1.2)[0]
        style.legend_below(figure, handles, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _panel(
    ax: Axes, letter: str, found: Mapping[str, Shift], looks: tuple[style.Look, ...], handles: style.Handles
) -> list[pd.DataFrame]:
    """The shifts of some runs over the step of CPT, and the forms fitted to them."""
    tables = []
    largest = max(abs(one.size) for one in found.values())
    for i, (label, one) in enumerate(found.items()):
        table, look = one.shifts.table.astype(float), looks[i % len(looks)]
        step = table["phase_step"]
        (handles[label],) = ax.plot(step, table["shift"], **{**style.DOTS, **look, "ms": 3}, alpha=0.85)
        tables.append(style.long(letter, f"{label}, measured", one.run, step, table["shift"]))
        if one.power is not None and abs(one.size) > CLEAR * largest:
            ax.plot(step, table["fitted"], color=look["color"], lw=1.2)
            tables.append(style.long(letter, f"{label}, power form", one.run, step, table["fitted"]))
    ax.axhline(0, color="#444444", lw=0.6)
    ax.set_xscale("log")
    return tables
