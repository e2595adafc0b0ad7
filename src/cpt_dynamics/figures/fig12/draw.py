"""Figure 12: Eq. 4 fitted separately at each replay ratio, and the shift terms that the fits have."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import equations, fitted, published, selection, style
from cpt_dynamics.figures.kit import joint_figure as fig03
from cpt_dynamics.fitting import Fit
from cpt_dynamics.laws import get

COLOURS = (style.VERMILION, style.ORANGE, style.GREEN, style.PURPLE, style.SKY)
PAPER_S1CPT = 4.0  # forward area of CPT at which the published shift terms are compared


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """A column for each LR schedule, a colour for each ratio; below, the fitted shift term of each ratio."""
    colours = dict(zip(analysis["groups"], COLOURS * len(analysis["groups"]), strict=False))
    columns = _columns(schedules, analysis["groups"])
    roles = list(analysis["validations"])
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 7.4), layout="constrained")
        style.pads(figure, hspace=0.0)
        parts = figure.add_gridspec(2, 1, height_ratios=[2.42, 1.35])
        spec = parts[0].subgridspec(1 + len(roles), len(columns), height_ratios=[0.42, *[1.0] * len(roles)])
        tables: list[pd.DataFrame] = []
        handles: dict[str, Any] = {}
        rows: dict[str, list[Axes]] = {name: [] for name in ("lr", *roles)}
        for j, runs in enumerate(columns):
            axes = {name: figure.add_subplot(spec[i, j]) for i, name in enumerate(rows)}
            some = next(iter(runs.values()))
            plan = selection.of_runs(schedules, [some], "schedules")
            style.lr_panel(axes["lr"], plan, color=style.BLACK)
            axes["lr"].set_title(fig03.schedule_name(some, plan))
            tables.append(style.long("lr", "", some, plan["step"], plan["lr"]))
            for name, ax in axes.items():
                rows[name].append(ax)
                if name != "lr":
                    tables += _panel(ax, curves, schedules, analysis, config, runs, name, colours, handles)
            fig03.steps(list(axes.values()), plan)
        fig03.label_rows(rows, analysis["validations"])
        below = parts[1].subgridspec(2, len(roles), height_ratios=[0.13 * (1 + len(analysis["groups"])), 1.0])
        for j, role in enumerate(roles):
            fig03.write_lines(figure.add_subplot(below[0, j]), _equations(analysis, role, colours))
            tables += _shifts(figure.add_subplot(below[1, j]), analysis, role, colours)
        style.legend_below(figure, handles, columns=2)
    return figure, pd.concat(tables, ignore_index=True)


def _columns(schedules: pd.DataFrame, groups: Mapping[str, list[str]]) -> list[dict[str, str]]:
    """For each LR schedule, ratio -> the run under it."""
    result: dict[bytes, dict[str, str]] = {}
    for ratio, runs in groups.items():
        for run in runs:
            lr = selection.of_runs(schedules, [run], "schedules")["lr"].to_numpy()
            result.setdefault(lr.tobytes(), {})[ratio] = run
    return list(result.values())


def _panel(
    ax: Axes,
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    analysis: Mapping[str, Any],
    config: Config,
    runs: Mapping[str, str],
    role: str,
    colours: Mapping[str, str],
    handles: dict[str, Any],
) -> list[pd.DataFrame]:
    """Losses of one schedule at every ratio, each with the law fitted at that ratio."""
    first = int(analysis["first_step"])
    tables, seen = [], []
    for i, (ratio, run) in enumerate(runs.items()):
        found = analysis["fits"][ratio][role]
        rows = fitted.measured(curves, run, found["validation"], first)
        name = f"CPT with {ratio} % replay, and Eq. 4"
        tables += fig03.losses(ax, rows, role, run, {} if i else handles, colours[ratio], name, before=not i)
        seen.append(style.shown(rows, int(rows["step"].max())))
        curve = fitted.law_curve(Fit.from_json(found["fit"]), schedules, run, config, first)
        (handles[name],) = ax.plot(curve["step"], curve["loss"], **{**style.LAW, "color": colours[ratio], "lw": 1.1})
        tables.append(style.long(role, f"Eq. 4 at {ratio} %", run, curve["step"], curve["loss"]))
    style.loss_limits(ax, seen)
    return tables


def _shifts(ax: Axes, analysis: Mapping[str, Any], role: str, colours: Mapping[str, str]) -> list[pd.DataFrame]:
    """The fitted shift terms over the forward area of CPT, with their equations above."""
    tables = []
    s1cpt = np.linspace(0, analysis["end"], 200)
    for ratio, by_role in analysis["fits"].items():
        values = get("shift_power").predict(by_role[role]["parameters"], {"s1cpt": s1cpt})
        ax.plot(s1cpt, values, color=colours[ratio])
        tables.append(style.long(f"{role}_shift", f"Eq. 4 at {ratio} %", "", s1cpt, values))
    ax.axhline(0, color="#444444", lw=0.6)
    ax.set_xlabel(r"forward area $S_1^\mathrm{cpt}$")
    ax.set_ylabel(f"fitted shift of {style.SET_LABELS[role]} loss")
    return tables


def _equations(analysis: Mapping[str, Any], role: str, colours: Mapping[str, str]) -> fig03.Lines:
    """The fitted shift term of each ratio and, in grey, the sizes of the published ones."""
    ours = [
        (
            "",
            f"{ratio} %: {equations.power_shift(found[role]['parameters'], equations.S1CPT)},"
            f"  $R^2$ = {fig03.r2(found[role]['r2'], 3)}",
            colours[ratio],
        )
        for ratio, found in analysis["fits"].items()
    ]
    return [*ours, ("", _printed(role), style.GREY)]


def _printed(role: str) -> str:
    """The published shift terms at one forward area, with their ratios."""
    found = [item for item in published.load() if (item.figure, item.role) == ("fig12", role)]
    sizes = [get("shift_power").predict(_known(item), {"s1cpt": [PAPER_S1CPT]})[0] for item in found]
    ratios = ", ".join(item.setting.split()[-2] for item in found)
    values = ", ".join(f"{size:.2f}" for size in sizes)
    return rf"paper, {ratios} % at ${equations.S1CPT}$ = {PAPER_S1CPT:g}: ${values}$"


def _known(item: published.Printed) -> dict[str, float]:
    return {name: value for name, value in item.parameters.items() if value is not None}
