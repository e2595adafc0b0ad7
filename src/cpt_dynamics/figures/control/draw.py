"""The same-data control: CPT on D_pt and on D_cpt under the same LR, Eq. 2, and the shift between the two."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.control.result import Result
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import fitted, selection, style

MOST = 3  # columns
SHIFTS: tuple[style.Look, ...] = (
    {"color": style.VERMILION, "marker": "o"},
    {"color": style.BLUE, "marker": "s"},
    {"color": style.BLACK, "marker": "^"},
    {"color": style.PURPLE, "marker": "D"},
    {"color": style.SKY, "marker": "v"},
)


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """A column for each LR that changes in CPT: LR, D_pt and D_cpt loss; below the shifts against S1cpt."""
    runs = _chosen(data.schedules, list(result.pairs))
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 6.6), layout="constrained")
        style.pads(figure)
        halves: Any = figure.subfigures(2, 1, height_ratios=[4.3, 2.3])
        axes = halves[0].subplots(
            1 + len(result.sets),
            len(runs),
            squeeze=False,
            sharex="col",
            sharey="row",
            gridspec_kw={"height_ratios": [0.42, *(1.0 for _ in result.sets)]},
        )
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        for column, run in zip(axes.T, runs, strict=True):
            tables += _column(column, data, result, run, handles)
        last = int(selection.of_runs(data.schedules, runs, "schedules")["step"].max())
        drawn = pd.concat(tables)
        for ax, (role, validation) in zip(axes[1:, 0], result.validations.items(), strict=True):
            shown = (drawn["panel"] == role) & (drawn["x"] >= 0.18 * last)  # after the steep start
            style.loss_limits(ax, [drawn.loc[shown, "y"]])
            ax.set_ylabel(style.loss_label(role, validation))
        axes[0, 0].set_ylabel(r"LR ($10^{-3}$)")
        halves[0].align_ylabels(axes[:, 0])
        halves[0].legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)
        tables += _shifts(halves[1], data, result)
    return figure, pd.concat(tables, ignore_index=True)


def _chosen(schedules: pd.DataFrame, runs: list[str]) -> list[str]:
    """The runs to draw: those whose LR changes in CPT, or all if there is none."""
    after = selection.of_runs(schedules, runs, "schedules")
    rates = after[after["phase"] == "continual"].groupby("run")["lr"].nunique()
    return ([run for run in runs if rates[run] > 1] or runs)[:MOST]


def _column(axes: np.ndarray, data: FigureData, result: Result, run: str, handles: style.Handles) -> list[pd.DataFrame]:
    """LR and losses of a run and its control."""
    plan = selection.of_runs(data.schedules, [run], "schedules")
    style.lr_panel(axes[0], plan, color=style.BLACK)
    axes[0].set_title(style.schedule_label(data.experiments.runs[run]))
    tables = [style.long("lr", "", run, plan["step"], plan["lr"])]
    for role, ax in zip(result.sets, axes[1:], strict=True):
        tables += _losses(ax, data, result, role, run, handles)
    for ax in axes:
        style.transfer_line(ax, int((plan["phase"] == "pretraining").sum()))
    style.steps_axis(axes[-1], len(plan))
    return tables


def _losses(
    ax: Axes, data: FigureData, result: Result, role: Role, run: str, handles: style.Handles
) -> list[pd.DataFrame]:
    """PT, CPT on either corpus, and Eq. 2 as fitted to pre-training."""
    found, control, tables = result.sets[role], result.pairs[run], []
    mine, its = (fitted.measured(data.curves, name, found.validation, result.first_step) for name in (run, control))
    for label, name, rows, colour in (
        ("PT, measured", run, mine[mine["phase"] == "pretraining"], style.BLACK),
        (r"CPT on $D_\mathrm{cpt}$", run, mine[mine["phase"] == "continual"], style.VERMILION),
        (r"CPT on $D_\mathrm{pt}$ (control)", control, its[its["phase"] == "continual"], style.GREEN),
    ):
        handles[label] = fitted.dots(ax, rows, colour, alpha=0.75)
        tables.append(style.long(role, label, name, rows["step"], rows["loss"]))
    curve = fitted.law_curve(found.fit, data.schedules, control, result.first_step)
    (handles["Eq. 2, fitted to PT"],) = ax.plot(curve["step"], curve["loss"], **style.LAW)
    tables.append(style.long(role, "Eq. 2", control, curve["step"], curve["loss"]))
    if control in found.residuals:
        said = f"residual {found.residuals[control]:.4f}, shift {found.shift_sizes[run]:.3f} nats"
        ax.set_title(said, loc="right", fontsize=style.SMALL, pad=3)
    return tables


def _shifts(part: Any, data: FigureData, result: Result) -> list[pd.DataFrame]:
    """CPT loss minus the control's against the forward area of CPT, for every LR."""
    axes = part.subplots(1, len(result.sets), squeeze=False)[0]
    tables, handles = [], {}
    for ax, (role, found) in zip(axes, result.sets.items(), strict=True):
        table = found.shifts.table
        for run, look in zip(result.pairs, SHIFTS, strict=False):
            rows = table[(table["run"] == run) & (table["s1cpt"] > 0)]
            label = style.schedule_label(data.experiments.runs[run])
            (handles[label],) = ax.plot(rows["s1cpt"], rows["shift"], ms=3, mew=0, lw=0.8, alpha=0.85, **look)
            tables.append(style.long(f"{role}_shift", label, run, rows["s1cpt"], rows["shift"]))
        ax.axhline(0, color="#444444", lw=0.6)
        ax.set_xscale("log")
        ax.set_xlabel(r"$S_1^\mathrm{cpt}$")
        ax.set_ylabel(f"shift of {style.SET_LABELS[role]} loss")
        if found.overlap:
            area, step = (_percent(spread.relative) for spread in (found.overlap.s1cpt, found.overlap.phase_step))
            said = f"mean distance {area} of the shift (at the same step {step})"
            ax.set_title(said, loc="right", fontsize=style.SMALL, pad=3)
    part.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)
    return tables


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{100 * value:.1f} %"
