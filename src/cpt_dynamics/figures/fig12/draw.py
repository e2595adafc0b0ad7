"""Figure 12: Eq. 4 fitted separately at each replay ratio, and the shift terms that the fits have."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig12.result import Result
from cpt_dynamics.figures.kit import equations, fitted, published, selection, style
from cpt_dynamics.figures.kit.joint_figure import Lines, label_rows, losses, r2, steps, write_lines
from cpt_dynamics.laws import get

COLOURS = (style.VERMILION, style.ORANGE, style.GREEN, style.PURPLE, style.SKY)
PAPER_S1CPT = 4.0  # forward area of CPT at which the published shift terms are compared


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """A column for each LR schedule, a colour for each ratio; below, the fitted shift term of each ratio."""
    colours = dict(zip(result.groups, COLOURS * len(result.groups), strict=False))
    columns = selection.by_schedule(data.experiments, result.groups)
    roles = list(result.validations)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 7.4), layout="constrained")
        style.pads(figure, hspace=0.0)
        parts = figure.add_gridspec(2, 1, height_ratios=[2.42, 1.35])
        spec = parts[0].subgridspec(1 + len(roles), len(columns), height_ratios=[0.42, *[1.0] * len(roles)])
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        rows: dict[str, list[Axes]] = {name: [] for name in ("lr", *roles)}
        for j, runs in enumerate(columns):
            axes = {name: figure.add_subplot(spec[i, j]) for i, name in enumerate(rows)}
            some = next(iter(runs.values()))
            plan = selection.of_runs(data.schedules, [some], "schedules")
            style.lr_panel(axes["lr"], plan, color=style.BLACK)
            axes["lr"].set_title(style.schedule_label(data.experiments.runs[some]))
            tables.append(style.long("lr", "", some, plan["step"], plan["lr"]))
            for role in roles:
                tables += _panel(axes[role], data, result, runs, role, colours, handles)
            for name, ax in axes.items():
                rows[name].append(ax)
            steps(list(axes.values()), plan)
        label_rows(rows, result.validations)
        below = parts[1].subgridspec(2, len(roles), height_ratios=[0.13 * (1 + len(result.groups)), 1.0])
        for j, role in enumerate(roles):
            write_lines(figure.add_subplot(below[0, j]), _equations(result, role, colours))
            tables += _shifts(figure.add_subplot(below[1, j]), result, role, colours)
        style.legend_below(figure, handles, columns=2)
    return figure, pd.concat(tables, ignore_index=True)


def _panel(
    ax: Axes,
    data: FigureData,
    result: Result,
    runs: Mapping[str, str],
    role: Role,
    colours: Mapping[str, str],
    handles: style.Handles,
) -> list[pd.DataFrame]:
    """Losses of one schedule at every ratio, each with the law fitted at that ratio."""
    first = result.first_step
    tables, seen = [], []
    for i, (ratio, run) in enumerate(runs.items()):
        found = result.fits[ratio][role]
        rows = fitted.measured(data.curves, run, found.validation, first)
        name = f"CPT with {ratio} % replay, and Eq. 4"
        tables += losses(ax, rows, role, run, {} if i else handles, colours[ratio], name, before=not i)
        seen.append(style.shown(rows, int(rows["step"].max())))
        curve = fitted.law_curve(found.fit, data.schedules, run, first)
        (handles[name],) = ax.plot(curve["step"], curve["loss"], **{**style.LAW, "color": colours[ratio], "lw": 1.1})
        tables.append(style.long(role, f"Eq. 4 at {ratio} %", run, curve["step"], curve["loss"]))
    style.loss_limits(ax, seen)
    return tables


def _shifts(ax: Axes, result: Result, role: Role, colours: Mapping[str, str]) -> list[pd.DataFrame]:
    """The fitted shift terms over the forward area of CPT."""
    tables = []
    s1cpt = np.linspace(0, result.end, 200)
    for ratio, by_role in result.fits.items():
        values = get("shift_power").predict(by_role[role].parameters, {"s1cpt": s1cpt})
        ax.plot(s1cpt, values, color=colours[ratio])
        tables.append(style.long(f"{role}_shift", f"Eq. 4 at {ratio} %", "", s1cpt, values))
    ax.axhline(0, color="#444444", lw=0.6)
    ax.set_xlabel(r"forward area $S_1^\mathrm{cpt}$")
    ax.set_ylabel(f"fitted shift of {style.SET_LABELS[role]} loss")
    return tables


def _equations(result: Result, role: Role, colours: Mapping[str, str]) -> Lines:
    """The fitted shift term of each ratio and, in grey, the sizes of the published ones."""
    lines = []
    for ratio, by_role in result.fits.items():
        shift = equations.power_shift(by_role[role].parameters, equations.S1CPT)
        lines.append(("", f"{ratio} %: {shift},  $R^2$ = {r2(by_role[role].r2, 3)}", colours[ratio]))
    return [*lines, ("", _printed(role), style.GREY)]


def _printed(role: Role) -> str:
    """The published shift terms at one forward area, with their ratios."""
    found = [item for item in published.load() if (item.figure, item.role) == ("fig12", role)]
    known = [{name: value for name, value in item.parameters.items() if value is not None} for item in found]
    sizes = [get("shift_power").predict(parameters, {"s1cpt": [PAPER_S1CPT]})[0] for parameters in known]
    ratios = ", ".join(item.setting.split()[-2] for item in found)
    values = ", ".join(f"{size:.2f}" for size in sizes)
    return rf"paper, {ratios} % at ${equations.S1CPT}$ = {PAPER_S1CPT:g}: ${values}$"
