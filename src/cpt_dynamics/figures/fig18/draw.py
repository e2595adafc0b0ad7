"""Figure 18: CPT of a model whose pre-training counts as unknown: short runs are fitted, a longer one is predicted."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig18.analyse import unknown
from cpt_dynamics.figures.fig18.result import Result
from cpt_dynamics.figures.kit import coefficients, equations, fitted, style

LABELS = {
    Role.PROXY: r"proxy of $D_\mathrm{pt}$",
    Role.STRONG: r"$D_\mathrm{cpt}$",
    Role.GENERAL: r"true $D_\mathrm{pt}$",
}
RUNS = (style.BLACK, style.GREEN, style.SKY, style.GREY)  # of the fitted runs
HELDOUT = style.VERMILION
LAW, S1_ONLY = r"law with $S_1^\mathrm{pt}$ fitted", "the same without $S_2$"
INDENT = 0.28  # of an equation after its name


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """A column for each set with LR and losses; below the fitted equations and, in grey, the printed ones."""
    runs = [*result.fitted_runs, *result.heldout_runs]
    features, plans = unknown(data.curves, data.schedules, data.config, runs)
    lines = _equations(result)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 4.7 + 0.15 * len(lines)), layout="constrained")
        style.pads(figure)
        sets = result.sets
        spec = figure.add_gridspec(4, len(sets), height_ratios=[0.42, 1.4, 0.55, 0.1 * len(lines)])
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        last = int(plans["step"].max())
        columns = [[figure.add_subplot(spec[i, j]) for i in range(3)] for j in range(len(sets))]
        for role, column in zip(sets, columns, strict=True):
            for run in runs:
                plan = plans[plans["run"] == run]
                style.lr_panel(column[0], plan, color=_colour(result, run))
                tables.append(style.long("lr", "", run, plan["step"], plan["lr"]))
            column[0].set_title(f"{LABELS[role]} ({result.validations[role]})")
            tables += _losses(column[1], data, features, plans, result, role, handles)
            tables += _errors(column[2], features, result, role)
            for ax in column:
                style.steps_axis(ax, last)
                ax.set_xlabel("CPT step")
            for ax in column[:-1]:
                ax.set_xlabel("")
                ax.tick_params(labelbottom=False)
        left = columns[0]
        for ax, label in zip(left, (r"LR ($10^{-3}$)", "loss (nats/token)", "error (%)"), strict=True):
            ax.set_ylabel(label)
        figure.align_ylabels(left)
        coefficients.block(figure.add_subplot(spec[3, :]), lines, INDENT)
        style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True)


def _colour(result: Result, run: str) -> str:
    return HELDOUT if run in result.heldout_runs else RUNS[result.fitted_runs.index(run) % len(RUNS)]


def _rows(features: pd.DataFrame, result: Result, role: Role, run: str) -> pd.DataFrame:
    """The CPT losses of a run on one set."""
    rows = features[(features["validation"] == result.validations[role]) & (features["run"] == run)]
    return rows.sort_values("step")


def _losses(
    ax: Axes,
    data: FigureData,
    features: pd.DataFrame,
    plans: pd.DataFrame,
    result: Result,
    role: Role,
    handles: style.Handles,
) -> list[pd.DataFrame]:
    """Measured losses of all runs and the law at every step."""
    found, parts = result.sets[role], []
    for run in (*result.fitted_runs, *result.heldout_runs):
        heldout = run in result.heldout_runs
        part = _rows(features, result, role, run)
        look: style.Look = {"ms": 2.6, "zorder": 3} | (
            {"ms": 3.6, "mfc": "none", "mec": HELDOUT, "mew": 0.8, "zorder": 2.5} if heldout else {}
        )
        label = f"{run.replace('_', ' ')}, {'held out' if heldout else 'fitted'}"
        handles[label] = fitted.dots(ax, part, _colour(result, run), **look)
        parts.append(style.long(role, label, run, part["step"], part["loss"]))
        curve = fitted.law_curve(found.fit, plans, run)
        (handles[LAW],) = ax.plot(curve["step"], curve["loss"], **style.LAW)
        parts.append(style.long(role, LAW, run, curve["step"], curve["loss"]))
    handles[LAW] = handles.pop(LAW)  # last in the legend
    (handles[S1_ONLY],) = ax.plot([], [], **style.RIVAL)  # drawn in the panel below
    law, without, last = (
        _percent(errors.mean_relative_error)
        for errors in (found.heldout, found.s1_only.heldout, found.last_value.heldout)
    )
    said = f"held-out error {law}\nwithout $S_2$ {without}, last loss {last}"
    ax.set_title(said, fontsize=style.SMALL, pad=3)
    return parts


def _errors(ax: Axes, features: pd.DataFrame, result: Result, role: Role) -> list[pd.DataFrame]:
    """(Law - loss) / loss in % on the held-out runs; dotted lines where the fitted runs end."""
    found, parts = result.sets[role], []
    ax.axhline(0, color="#444444", lw=0.6)
    for name, law, look in ((LAW, found.fit, style.LAW), (S1_ONLY, found.s1_only.fit, style.RIVAL)):
        for run in result.heldout_runs:
            part = _rows(features, result, role, run)
            error = 100 * (law.predict(part) / part["loss"] - 1)
            ax.plot(part["step"], error, **look)
            parts.append(style.long(f"{role}_error", name, run, part["step"], error))
    for run in result.fitted_runs:
        end = float(features.loc[features["run"] == run, "step"].max())
        ax.axvline(end, color=_colour(result, run), lw=0.8, ls=":", zorder=0.5)
    return parts


def _percent(value: float | None) -> str:
    return "--" if value is None else f"{100 * value:.2f} %"


def _equations(result: Result) -> list[tuple[str, str, str]]:
    """Name, equation and colour of every fit of the figure and of the paper's."""
    ours = [(LABELS[role], equation(found.parameters), style.BLACK) for role, found in result.sets.items()]
    theirs = [
        (f"paper, {item.setting}, {item.validation}", equation(item.parameters), style.GREY)
        for item in result.published
    ]
    return ours + theirs


def equation(p: Mapping[str, float | None]) -> str:
    """Eq. 4 with S1pt a number and without S2pt, as mathtext; a negative beta makes the power of the shift positive."""
    number = equations.number
    v = {name: value or 0.0 for name, value in p.items()}
    sign = "-" if v["B"] < 0 else "+"
    return (
        rf"$L = {v['L0']:.3f} + {number(v['A'])}\,({number(v['S1pt'])}+{equations.S1CPT})^{{-{number(v['alpha'])}}}"
        rf" - {number(v['C2'])}\,{equations.S2CPT}"
        rf" {sign} {number(abs(v['B']))}\,[1-(1+{number(v['E'])}\,{equations.S1CPT})^{{{number(-v['beta'])}}}]$"
    )
