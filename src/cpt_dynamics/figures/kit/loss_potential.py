"""Final D_cpt loss against the loss potential of the checkpoint, a curve for each length of CPT (Fig. 5c and 5f)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import style

LENGTHS: tuple[dict[str, Any], ...] = (  # of CPT, from the shortest on
    {"color": style.SKY, "marker": "o"},
    {"color": style.BLUE, "marker": "s"},
    {"color": style.ORANGE, "marker": "^"},
    {"color": style.VERMILION, "marker": "D"},
    {"color": style.PURPLE, "marker": "v"},
)
STAR: dict[str, Any] = {"marker": "*", "ms": 10, "mec": style.BLACK, "mew": 0.5, "ls": "", "zorder": 4}
BAND: dict[str, Any] = {"color": style.GREY, "alpha": 0.13, "lw": 0, "zorder": 0}


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """One panel for each way to start CPT; the best potential of each length has a star."""
    panels = analysis["panels"]
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 2.9), layout="constrained")
        style.pads(figure)
        axes = np.atleast_1d(figure.subplots(1, len(panels)))
        handles: dict[str, Any] = {}
        tables = []
        for ax, (key, panel) in zip(axes, panels.items(), strict=True):
            tables += lengths(ax, key, panel["lengths"], panel["role"], 100.0, handles)
            printed_range(ax, panel.get("range"), handles)
            ax.set_xlabel("loss potential of the PT checkpoint (%)")
            ax.set_title(panel["title"])
            ax.set_title(f"({key})", loc="left", pad=3, **style.LETTER)
        role = next(iter(panels.values()))["role"]
        axes[0].set_ylabel(f"final {style.loss_label(role, analysis['validations'][role])}")
        style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True)


def lengths(
    ax: Axes, panel: str, found: list[Mapping[str, Any]], role: str, unit: float, handles: dict[str, Any]
) -> list[pd.DataFrame]:
    """Final losses against a knob (drawn times `unit`), a curve for each length of CPT with a star at its best."""
    tables = []
    for length, look in zip(found, LENGTHS, strict=False):
        name = f"CPT of {length['steps']:,} steps"
        x = unit * np.array(length["values"])
        (handles[name],) = ax.plot(x, length["loss"][role], lw=1.1, ms=2.6, mew=0, **look)
        best = length["best"][role]
        (star,) = ax.plot([unit * best["value"]], [best["loss"]], **{**STAR, "mfc": style.YELLOW})
        tables.append(style.long(panel, role, name, x, length["loss"][role]))
        tables.append(style.long(panel, "best", name, [unit * best["value"]], [best["loss"]]))
    handles["lowest loss"] = star
    return tables


def printed_range(ax: Axes, compared: Mapping[str, Any] | None, handles: dict[str, Any]) -> None:
    """A band over the range of losses that the paper's panel shows, where it is known."""
    if compared:
        handles["range in the paper"] = ax.axhspan(*compared["printed"], **BAND)
