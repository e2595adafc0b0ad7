"""Figure 6: the shift of two domains, and of CPT on the strong one with replay."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import optima, style

RATIOS: tuple[dict[str, Any], ...] = (  # from no replay up
    {"color": style.VERMILION, "marker": "o"},
    {"color": style.ORANGE, "marker": "s"},
    {"color": style.PURPLE, "marker": "^"},
    {"color": style.SKY, "marker": "D"},
    {"color": style.BLACK, "marker": "v"},
)
DOMAINS = {
    "weak": {"color": optima.STRENGTHS["weak"]["color"], "marker": "^"},
    "strong": {"color": optima.STRENGTHS["strong"]["color"], "marker": "o"},
}
CLEAR = 0.05  # of the largest shift of a panel: a form below it is not drawn, since it follows noise


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """Above by domain, below by replay ratio: measured shifts and the power forms fitted to them."""
    names = analysis["validations"]
    upper = {f"{role} shift ({names[role]})": look for role, look in DOMAINS.items()}
    domains, replay = analysis["domains"]["sets"], analysis["replay"]["sets"]
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 5.2), layout="constrained")
        style.pads(figure)
        axes = figure.subplots(2, 2, sharex="col")
        style.panel_letters(axes)
        tables: list[pd.DataFrame] = []
        handles: dict[str, Any] = {}
        for ax, letter, side in zip(axes[0], "ab", ("general", "own"), strict=True):
            found = {label: domains[side][role] for label, role in zip(upper, DOMAINS, strict=True)}
            tables += _panel(ax, letter, found, upper, handles)
        for ax, letter, role in zip(axes[1], "cd", ("general", "strong"), strict=True):
            runs = sorted(replay[role]["runs"].values(), key=lambda item: item["replay"])
            labels = [f"{100 * item['replay']:.0f} % replay" for item in runs]
            looks = {label: RATIOS[i % len(RATIOS)] for i, label in enumerate(labels)}
            tables += _panel(ax, letter, dict(zip(labels, runs, strict=True)), looks, handles)
            ax.set_xlabel("CPT step")
        for ax in axes[0]:
            ax.tick_params(labelbottom=False)
        axes[0, 0].set_ylabel(f"shift of {style.loss_label('general', names['general'])}")
        axes[0, 1].set_ylabel("shift of the domain's own loss")
        for ax, role in zip(axes[1], ("general", "strong"), strict=True):
            ax.set_ylabel(f"shift of {style.loss_label(role, names[role])}")
        handles["power form"] = axes[0, 0].plot([], [], color=style.GREY, lw=1.2)[0]
        style.legend_below(figure, handles, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _panel(
    ax: Axes,
    letter: str,
    found: Mapping[str, Mapping[str, Any]],
    looks: Mapping[str, Mapping[str, Any]],
    handles: dict[str, Any],
) -> list[pd.DataFrame]:
    """The shifts of some runs over the step of CPT, and the forms fitted to them."""
    tables = []
    largest = max(abs(item["size"]) for item in found.values())
    for label, item in found.items():
        table = pd.DataFrame(item["shifts"], dtype=float)
        step, look = table["phase_step"], looks[label]
        (handles[label],) = ax.plot(step, table["shift"], **{**style.DOTS, **look, "ms": 3}, alpha=0.85)
        tables.append(style.long(letter, f"{label}, measured", item["run"], step, table["shift"]))
        if item["power"] is not None and abs(item["size"]) > CLEAR * largest:
            ax.plot(step, table["fitted"], color=look["color"], lw=1.2)
            tables.append(style.long(letter, f"{label}, power form", item["run"], step, table["fitted"]))
    ax.axhline(0, color="#444444", lw=0.6)
    ax.set_xscale("log")
    return tables
