"""Figure 5: CPT from checkpoints of several loss potentials, without and with re-warm-up."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import fitted, loss_potential, selection, style

POTENTIALS: tuple[dict[str, Any], ...] = (  # from the highest loss potential down
    {"color": style.BLACK, "ls": "-"},
    {"color": style.PURPLE, "ls": "--"},
    {"color": style.GREEN, "ls": "-."},
    {"color": style.GREY, "ls": "-"},
    {"color": style.GREY, "ls": ":"},
)
BEFORE = 0.5  # of the length of CPT: how much of PT an LR panel shows
SETTLED = 0.3  # of CPT: from here on losses scale their panel
DOT: dict[str, Any] = {"ls": "", "marker": "o", "ms": 4.2, "mfc": "white", "mec": style.BLACK, "mew": 0.9, "zorder": 5}


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """A row without and one with re-warm-up: LR, D_cpt loss of all seeds, and the final loss by the law."""
    potentials = sorted({p for panel in analysis["panels"].values() for p in panel["potentials"]}, reverse=True)
    looks = {p: POTENTIALS[i % len(POTENTIALS)] for i, p in enumerate(potentials)}
    runs: dict[str, Any] = {}
    laws: dict[str, Any] = {}
    tables: list[pd.DataFrame] = []
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 5.0), layout="constrained")
        style.pads(figure)
        axes = figure.subplots(2, 3)
        style.panel_letters(axes)
        for row, letters, panel in zip(axes, ("abc", "def"), analysis["panels"].values(), strict=True):
            tables += _rates(row[0], letters[0], schedules, panel, looks)
            tables += _losses(row[1], letters[1], curves, analysis, panel, looks, runs)
            tables += loss_potential.lengths(row[2], letters[2], panel["lengths"], "strong", 100.0, laws)
            tables += _measured(row[2], letters[2], panel, laws)
            row[0].set_ylabel(r"LR ($10^{-3}$)")
            row[1].set_title(panel["title"], loc="right")
            row[1].set_ylabel(style.loss_label("strong", analysis["validations"]["strong"]))
            row[2].set_ylabel(rf"final {style.SET_LABELS['strong']} loss")
        for ax in axes[1, :2]:
            ax.set_xlabel("step of CPT")
        axes[1, 2].set_xlabel("loss potential (%)")
        style.legend_below(figure, {**_ordered(runs), **laws}, columns=3)
    return figure, pd.concat(tables, ignore_index=True)


def _ordered(runs: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of the potentials, from the highest down."""
    return {f"loss potential {p:g} %": runs[p] for p in sorted(runs, reverse=True)}


def _rates(
    ax: Axes, letter: str, schedules: pd.DataFrame, panel: Mapping[str, Any], looks: Mapping[float, Any]
) -> list[pd.DataFrame]:
    """The LR over CPT and the end of PT before it, one run for each potential."""
    tables = []
    for run in {item["potential"]: item for item in panel["runs"][::-1]}.values():
        plan = selection.of_runs(schedules, [run["run"]], "schedules")
        step = plan["step"] - int((plan["phase"] == "pretraining").sum())
        shown = step > -BEFORE * panel["steps"]
        ax.plot(step[shown], plan.loc[shown, "lr"] * 1e3, **looks[run["potential"]])
        tables.append(style.long(f"{letter} lr", "", run["run"], step[shown], plan.loc[shown, "lr"]))
    style.transfer_line(ax, 0)
    ax.set_ylim(bottom=0)
    ax.set_xlim(-BEFORE * panel["steps"], 1.02 * panel["steps"])
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    return tables


def _losses(
    ax: Axes,
    letter: str,
    curves: pd.DataFrame,
    analysis: Mapping[str, Any],
    panel: Mapping[str, Any],
    looks: Mapping[float, Any],
    handles: dict[Any, Any],
) -> list[pd.DataFrame]:
    """The D_cpt loss against the step of CPT, every seed; the fall right after the transfer may leave the panel."""
    tables, seen = [], []
    for item in panel["runs"]:
        rows = fitted.measured(curves, item["run"], analysis["validations"]["strong"])
        rows = rows[rows["phase"] == "continual"]
        (handles[100 * item["potential"]],) = ax.plot(
            rows["phase_step"], rows["loss"], **looks[item["potential"]], lw=1.0, alpha=0.85
        )
        tables.append(style.long(letter, "loss", item["run"], rows["phase_step"], rows["loss"]))
        seen.append(rows.loc[rows["phase_step"] >= SETTLED * panel["steps"], "loss"])
    style.loss_limits(ax, seen)
    ax.set_xlim(0, 1.02 * panel["steps"])
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    return tables


def _measured(ax: Axes, letter: str, panel: Mapping[str, Any], handles: dict[str, Any]) -> list[pd.DataFrame]:
    """Measured final losses: the mean over seeds, and the range over them as a bar."""
    table = pd.DataFrame(panel["runs"])
    found = table.groupby("potential")["loss"].agg(["mean", "min", "max"])
    x = 100 * np.asarray(found.index, dtype=float)
    ax.vlines(x, found["min"], found["max"], color=style.BLACK, lw=1.0, zorder=4.5)
    name = f"measured, CPT of {panel['steps']:,} steps"
    (handles[name],) = ax.plot(x, found["mean"], **DOT)
    return [style.long(letter, "measured", "", x, found["mean"])]
