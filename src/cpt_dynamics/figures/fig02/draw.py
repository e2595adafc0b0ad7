"""Figure 2: CPT from several points of transfer under a constant LR, and the shift term."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig02.result import Result
from cpt_dynamics.figures.kit import equations, published, selection, style
from cpt_dynamics.figures.kit.joint_figure import r2
from cpt_dynamics.figures.kit.shifts import MeasuredForm

LINES = {"power": style.LAW | {"color": style.BLACK}, "exponential": style.RIVAL | {"color": style.GREY}}
HELD_OUT = {"mfc": "none", "mew": 0.8}  # shifts that the forms were not fitted to
HELD_OUT_LINE = {"ls": (0, (3, 1))}


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """LR and losses on the left, shifts with the fitted forms on the right."""
    hidden = list(dict.fromkeys(result.hidden.values()))
    last = int(selection.of_runs(data.schedules, [*result.hidden, *hidden], "schedules")["step"].max())
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 5.4), layout="constrained")
        style.pads(figure)
        spec = figure.add_gridspec(3, 2, height_ratios=[0.42, 1, 1], width_ratios=[0.8, 1])
        left = [figure.add_subplot(spec[i, 0]) for i in range(3)]
        beside = spec[:, 1].subgridspec(2, 1)
        right = [figure.add_subplot(beside[i]) for i in range(2)]
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}

        for name in hidden:
            plan = selection.of_runs(data.schedules, [name], "schedules")
            style.lr_panel(left[0], plan, **style.PRETRAINING)
            tables.append(style.long("lr", "hidden", name, plan["step"], plan["lr"]))
        left[0].set_ylabel(r"LR ($10^{-3}$)")
        for (role, validation), ax in zip(result.validations.items(), left[1:], strict=True):
            tables += _losses(ax, data.curves, result, role, last, handles)
            ax.set_ylabel(style.loss_label(role, validation))
        for ax in left:
            style.steps_axis(ax, last)
            for run, mark in _marks(result).items():
                ax.axvline(result.transfers[run] + 0.5, color=mark["color"], lw=0.8, ls=":", zorder=0.5)
        for ax in left[:-1]:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
        for role, ax in zip(result.validations, right, strict=True):
            tables += _shifts(ax, result, role, handles)
        right[0].set_xlabel("")
        figure.align_ylabels(left)
        figure.align_ylabels(right)
        style.panel_letters(np.array(left))
        for letter, ax in zip("de", right, strict=True):
            ax.text(-0.16, 1.21, f"({letter})", transform=ax.transAxes, **style.LETTER)
        style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True)


def _marks(result: Result) -> dict[str, style.Look]:
    """Colour and marker of each transfer by run, the fitted ones first."""
    return dict(zip([*result.runs, *result.heldout_runs], style.TRANSFERS, strict=False))


def _losses(
    ax: Axes, curves: pd.DataFrame, result: Result, role: Role, last: int, handles: style.Handles
) -> list[pd.DataFrame]:
    """The hidden curve and CPT from each point of transfer."""
    tables, seen = [], []
    rows = curves[curves["validation"] == result.validations[role]]
    for name in dict.fromkeys(result.hidden.values()):
        part = rows[rows["run"] == name].sort_values("step")
        (handles[r"hidden curve on $D_\mathrm{pt}$"],) = ax.plot(part["step"], part["loss"], **style.HIDDEN)
        tables.append(style.long(role, "hidden", name, part["step"], part["loss"]))
        seen.append(style.shown(part, last))
    for run, mark in _marks(result).items():
        part = rows[(rows["run"] == run) & (rows["phase"] == "continual")].sort_values("step")
        look: style.Look = {} if run in result.runs else dict(HELD_OUT_LINE)
        ax.plot(part["step"], part["loss"], color=mark["color"], **look)
        tables.append(style.long(role, "cpt", run, part["step"], part["loss"]))
        seen.append(style.shown(part, last))
    style.loss_limits(ax, seen)
    return tables


def _shifts(ax: Axes, result: Result, role: Role, handles: style.Handles) -> list[pd.DataFrame]:
    """The shifts of all points of transfer, and the power and exponential forms fitted to them."""
    found, tables = result.sets[role], []
    table = pd.concat([part.shifts.table for part in (found, found.heldout) if part])
    for run, mark in _marks(result).items():
        part = table[table["run"] == run]
        fitted = run in result.runs
        label = f"CPT from step {result.transfers[run]:,}" + ("" if fitted else ", held out")
        look = {**style.DOTS, **mark, "ms": 3, "alpha": 0.85, **({} if fitted else HELD_OUT)}
        (handles[label],) = ax.plot(part["phase_step"], part["shift"], **look)
        series = "measured" if fitted else "held out"
        tables.append(style.long(f"{role}_shift", series, run, part["phase_step"], part["shift"]))
    steps = np.geomspace(1, table["phase_step"].max(), 200)
    forms = found.forms.phase_step
    for form, line in LINES.items():
        values = forms[form].fit.predict({"phase_step": steps})
        (handles[f"{form} form"],) = ax.plot(steps, values, **line)
        tables.append(style.long(f"{role}_shift", form, "", steps, values))
    ax.axhline(0, color="#444444", lw=0.6)
    ax.set_xscale("log")
    ax.set_xlabel("CPT step")
    ax.set_ylabel(rf"shift of {style.SET_LABELS[role]} loss")
    _equations(ax, forms, role)
    return tables


def _equations(ax: Axes, forms: Mapping[str, MeasuredForm], role: Role) -> None:
    """The fitted forms and their R2 above the panel, in grey those of the paper."""
    power, exponential = forms["power"], forms["exponential"]
    printed = (r2(published.find("fig02", role, form).r2, 3) for form in LINES)
    lines = {
        f"power: {equations.power_shift(power.parameters, 't')},  $R^2$ = {r2(power.r2, 3)}": style.BLACK,
        f"exponential: {equations.exponential_shift(exponential.parameters, 't')},"
        f"  $R^2$ = {r2(exponential.r2, 3)}": style.BLACK,
        f"paper, 106M: $R^2$ = {' and '.join(printed)}": style.GREY,
    }
    for (text, colour), y in zip(lines.items(), (1.21, 1.13, 1.05), strict=True):
        ax.text(0.0, y, text, transform=ax.transAxes, fontsize=style.SMALL, color=colour)
