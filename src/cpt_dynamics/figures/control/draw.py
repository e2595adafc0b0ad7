"""The same-data control: CPT on D_pt and on D_cpt under the same LR, Eq. 2, and the shift between the two."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import fitted, selection, style
from cpt_dynamics.fitting import Fit

MOST = 3  # columns
SHIFTS: tuple[dict[str, Any], ...] = (
    {"color": style.VERMILION, "marker": "o"},
    {"color": style.BLUE, "marker": "s"},
    {"color": style.BLACK, "marker": "^"},
    {"color": style.PURPLE, "marker": "D"},
    {"color": style.SKY, "marker": "v"},
)


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """A column for each LR that changes in CPT: LR, D_pt and D_cpt loss; below the shifts against S1cpt."""
    roles = list(analysis["validations"])
    pairs = chosen(schedules, analysis["pairs"])
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 6.6), layout="constrained")
        style.pads(figure)
        halves: Any = figure.subfigures(2, 1, height_ratios=[4.3, 2.3])
        axes = halves[0].subplots(
            1 + len(roles),
            len(pairs),
            squeeze=False,
            sharex="col",
            sharey="row",
            gridspec_kw={"height_ratios": [0.42, *(1.0 for _ in roles)]},
        )
        tables: list[pd.DataFrame] = []
        handles: dict[str, Any] = {}
        for j, (run, control) in enumerate(pairs.items()):
            tables += _column(axes[:, j], curves, schedules, analysis, config, run, control, handles)
        for i, role in enumerate(roles, start=1):
            _limits(axes[i, 0], tables, role, schedules, pairs)
            axes[i, 0].set_ylabel(style.loss_label(role, analysis["validations"][role]))
        axes[0, 0].set_ylabel(r"LR ($10^{-3}$)")
        halves[0].align_ylabels(axes[:, 0])
        halves[0].legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)
        tables += _shifts(halves[1], schedules, analysis, roles)
    return figure, pd.concat(tables, ignore_index=True)


def chosen(schedules: pd.DataFrame, pairs: Mapping[str, str]) -> dict[str, str]:
    """The pairs to draw: those whose LR changes in CPT, or all if there is none."""
    changing = {}
    for run, control in pairs.items():
        plan = selection.of_runs(schedules, [run], "schedules")
        if plan.loc[plan["phase"] == "continual", "lr"].nunique() > 1:
            changing[run] = control
    return dict(list((changing or pairs).items())[:MOST])


def _column(
    axes: np.ndarray,
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    analysis: Mapping[str, Any],
    config: Config,
    run: str,
    control: str,
    handles: dict[str, Any],
) -> list[pd.DataFrame]:
    """LR and losses of one pair."""
    plan = selection.of_runs(schedules, [run], "schedules")
    before = int((plan["phase"] == "pretraining").sum())
    style.lr_panel(axes[0], plan, color=style.BLACK)
    axes[0].set_title(style.schedule_label(run, plan))
    tables = [style.long("lr", "", run, plan["step"], plan["lr"])]
    for role, ax in zip(analysis["validations"], axes[1:], strict=True):
        tables += _losses(ax, curves, schedules, analysis, config, role, run, control, handles)
    for ax in axes:
        style.transfer_line(ax, before)
    style.steps_axis(axes[-1], len(plan))
    return tables


def _losses(
    ax: Axes,
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    analysis: Mapping[str, Any],
    config: Config,
    role: str,
    run: str,
    control: str,
    handles: dict[str, Any],
) -> list[pd.DataFrame]:
    """PT, CPT on either corpus, and Eq. 2 as fitted to pre-training."""
    found, first, tables = analysis["sets"][role], int(analysis["first_step"]), []
    validation = analysis["validations"][role]
    mine, its = (fitted.measured(curves, name, validation, first) for name in (run, control))
    for label, name, rows, colour in (
        ("PT, measured", run, mine[mine["phase"] == "pretraining"], style.BLACK),
        (r"CPT on $D_\mathrm{cpt}$", run, mine[mine["phase"] == "continual"], style.VERMILION),
        (r"CPT on $D_\mathrm{pt}$ (control)", control, its[its["phase"] == "continual"], style.GREEN),
    ):
        handles[label] = fitted.dots(ax, rows, colour, alpha=0.75)
        tables.append(style.long(role, label, name, rows["step"], rows["loss"]))
    curve = fitted.law_curve(Fit.from_json(found["fit"]), schedules, control, config, first)
    (handles["Eq. 2, fitted to PT"],) = ax.plot(curve["step"], curve["loss"], **style.LAW)
    tables.append(style.long(role, "Eq. 2", control, curve["step"], curve["loss"]))
    residual, size = found["residuals"].get(control), found["shift_sizes"][run]
    if residual is not None:
        ax.set_title(f"residual {residual:.4f}, shift {size:.3f} nats", loc="right", fontsize=style.SMALL, pad=3)
    return tables


def _limits(ax: Axes, tables: list[pd.DataFrame], role: str, schedules: pd.DataFrame, pairs: Mapping[str, str]) -> None:
    """Limits by what is drawn after the steep start."""
    last = int(selection.of_runs(schedules, list(pairs), "schedules")["step"].max())
    drawn = pd.concat([part for part in tables if (part["panel"] == role).all()])
    style.loss_limits(ax, [drawn.loc[drawn["x"] >= 0.18 * last, "y"]])


def _shifts(part: Any, schedules: pd.DataFrame, analysis: Mapping[str, Any], roles: list[str]) -> list[pd.DataFrame]:
    """CPT loss minus the control's against the forward area of CPT, for every LR."""
    axes = part.subplots(1, len(roles), squeeze=False)[0]
    tables, handles = [], {}
    for ax, role in zip(axes, roles, strict=True):
        found = analysis["sets"][role]
        table = pd.DataFrame(found["shifts"])
        for run, look in zip(analysis["pairs"], SHIFTS, strict=False):
            rows = table[(table["run"] == run) & (table["s1cpt"] > 0)]
            label = style.schedule_label(run, selection.of_runs(schedules, [run], "schedules"))
            (handles[label],) = ax.plot(rows["s1cpt"], rows["shift"], ms=3, mew=0, lw=0.8, alpha=0.85, **look)
            tables.append(style.long(f"{role}_shift", label, run, rows["s1cpt"], rows["shift"]))
        ax.axhline(0, color="#444444", lw=0.6)
        ax.set_xscale("log")
        ax.set_xlabel(r"$S_1^\mathrm{cpt}$")
        ax.set_ylabel(f"shift of {style.SET_LABELS[role]} loss")
        if found["overlap"]:
            area, step = (100 * found["overlap"][over]["relative"] for over in ("s1cpt", "phase_step"))
            said = f"mean distance {area:.1f} % of the shift (at the same step {step:.1f} %)"
            ax.set_title(said, loc="right", fontsize=style.SMALL, pad=3)
    part.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)
    return tables
