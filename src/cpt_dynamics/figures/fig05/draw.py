"""Figure 5: CPT from checkpoints of several loss potentials, without and with re-warm-up."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig05.result import PotentialPanel, Result
from cpt_dynamics.figures.kit import fitted, loss_potential, selection, style

POTENTIALS: tuple[style.Look, ...] = (  # from the highest loss potential down
    {"color": style.BLACK, "ls": "-"},
    {"color": style.PURPLE, "ls": "--"},
    {"color": style.GREEN, "ls": "-."},
    {"color": style.GREY, "ls": "-"},
    {"color": style.GREY, "ls": ":"},
)
BEFORE = 0.5  # of the length of CPT: how much of PT an LR panel shows
SETTLED = 0.3  # of CPT: from here on losses scale their panel


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """A row without and one with re-warm-up: LR, D_cpt loss of all seeds, and the final loss by the law."""
    potentials = sorted({p for panel in result.panels.values() for p in panel.potentials}, reverse=True)
    looks = {p: POTENTIALS[i % len(POTENTIALS)] for i, p in enumerate(potentials)}
    validation = result.validations[Role.STRONG]
    runs: dict[float, Artist] = {}
    laws: dict[str, Artist] = {}
    tables: list[pd.DataFrame] = []
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 5.0), layout="constrained")
        style.pads(figure)
        axes = figure.subplots(2, 3)
        style.panel_letters(axes)
        for row, letters, panel in zip(axes, ("abc", "def"), result.panels.values(), strict=True):
            tables += _rates(row[0], letters[0], data.schedules, panel, looks)
            tables += _losses(row[1], letters[1], data.curves, validation, panel, looks, runs)
            tables += loss_potential.lengths(row[2], letters[2], panel.lengths, Role.STRONG, 100.0, laws)
            tables += _measured(row[2], letters[2], panel, laws)
            row[0].set_ylabel(r"LR ($10^{-3}$)")
            row[1].set_title(panel.title, loc="right")
            row[1].set_ylabel(style.loss_label("strong", validation))
            row[2].set_ylabel(rf"final {style.SET_LABELS['strong']} loss")
            for ax, first in ((row[0], -BEFORE * panel.steps), (row[1], 0)):
                ax.set_xlim(first, 1.02 * panel.steps)
                ax.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        for ax in axes[1, :2]:
            ax.set_xlabel("step of CPT")
        axes[1, 2].set_xlabel("loss potential (%)")
        ordered = {f"loss potential {p:g} %": runs[p] for p in sorted(runs, reverse=True)}
        style.legend_below(figure, {**ordered, **laws}, columns=3)
    return figure, pd.concat(tables, ignore_index=True)


def _rates(
    ax: Axes, letter: str, schedules: pd.DataFrame, panel: PotentialPanel, looks: Mapping[float, style.Look]
) -> list[pd.DataFrame]:
    """The LR over CPT and the end of PT before it, one run for each potential."""
    tables = []
    for run in {item.potential: item for item in panel.runs[::-1]}.values():
        plan = selection.of_runs(schedules, [run.run], "schedules")
        step = plan["step"] - int((plan["phase"] == "pretraining").sum())
        shown = step > -BEFORE * panel.steps
        ax.plot(step[shown], plan.loc[shown, "lr"] * 1e3, **looks[run.potential])
        tables.append(style.long(f"{letter} lr", "", run.run, step[shown], plan.loc[shown, "lr"]))
    style.transfer_line(ax, 0)
    ax.set_ylim(bottom=0)
    return tables


def _losses(
    ax: Axes,
    letter: str,
    curves: pd.DataFrame,
    validation: str,
    panel: PotentialPanel,
    looks: Mapping[float, style.Look],
    handles: dict[float, Artist],
) -> list[pd.DataFrame]:
    """The D_cpt loss against the step of CPT, every seed; the fall right after the transfer may leave the panel."""
    tables, seen = [], []
    for run in panel.runs:
        rows = fitted.measured(curves, run.run, validation)
        rows = rows[rows["phase"] == "continual"]
        (handles[100 * run.potential],) = ax.plot(
            rows["phase_step"], rows["loss"], **looks[run.potential], lw=1.0, alpha=0.85
        )
        tables.append(style.long(letter, "loss", run.run, rows["phase_step"], rows["loss"]))
        seen.append(rows.loc[rows["phase_step"] >= SETTLED * panel.steps, "loss"])
    style.loss_limits(ax, seen)
    return tables


def _measured(ax: Axes, letter: str, panel: PotentialPanel, handles: dict[str, Artist]) -> list[pd.DataFrame]:
    """Measured final losses: the mean over seeds, and the range over them as a bar."""
    runs = pd.DataFrame({"potential": [run.potential for run in panel.runs], "loss": [run.loss for run in panel.runs]})
    found = runs.groupby("potential")["loss"].agg(["mean", "min", "max"])
    x = 100 * np.asarray(found.index, dtype=float)
    ax.vlines(x, found["min"], found["max"], color=style.BLACK, lw=1.0, zorder=4.5)
    (handles[f"measured, CPT of {panel.steps:,} steps"],) = ax.plot(x, found["mean"], **loss_potential.DOT)
    return [style.long(letter, "measured", "", x, found["mean"])]
