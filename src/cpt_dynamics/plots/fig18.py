"""Figure 18: CPT of a model whose pre-training counts as unknown: short runs are fitted, a longer one is predicted."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.analysis import fig18
from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import equations, fitted, style
from cpt_dynamics.fitting import Fit

LABELS = {
    "proxy": r"proxy of $D_\mathrm{pt}$",
    "strong": r"$D_\mathrm{cpt}$",
    "general": r"true $D_\mathrm{pt}$",
}
RUNS = (style.BLACK, style.GREEN, style.SKY, style.GREY)  # of the fitted runs
HELDOUT = style.VERMILION
LAW, S1_ONLY = r"law with $S_1^\mathrm{pt}$ fitted", "the same without $S_2$"


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """A column for each set with LR and losses; below the fitted equations and, in grey, the printed ones."""
    runs = [*analysis["fitted_runs"], *analysis["heldout_runs"]]
    features, plans = fig18.unknown(curves, schedules, config, runs)
    every = plans.assign(phase_step=plans["step"])
    lines = _equations(analysis)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 4.7 + 0.15 * len(lines)), layout="constrained")
        style.pads(figure)
        sets = analysis["sets"]
        spec = figure.add_gridspec(4, len(sets), height_ratios=[0.42, 1.4, 0.55, 0.1 * len(lines)])
        tables: list[pd.DataFrame] = []
        handles: dict[str, Any] = {}
        last = int(plans["step"].max())
        columns = [[figure.add_subplot(spec[i, j]) for i in range(3)] for j in range(len(sets))]
        for role, column in zip(sets, columns, strict=True):
            for run in runs:
                plan = plans[plans["run"] == run]
                style.lr_panel(column[0], plan, color=_colour(analysis, run))
                tables.append(style.long("lr", "", run, plan["step"], plan["lr"]))
            column[0].set_title(f"{LABELS[role]} ({analysis['validations'][role]})")
            tables += _losses(column[1], features, every, analysis, config, role, handles)
            tables += _errors(column[2], features, analysis, role)
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
        _write(figure.add_subplot(spec[3, :]), lines)
        style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True)


def _colour(analysis: Mapping[str, Any], run: str) -> str:
    if run in analysis["heldout_runs"]:
        return HELDOUT
    return RUNS[analysis["fitted_runs"].index(run) % len(RUNS)]


def _rows(features: pd.DataFrame, analysis: Mapping[str, Any], role: str, run: str) -> pd.DataFrame:
    """The CPT losses of a run on one set."""
    rows = features[(features["validation"] == analysis["validations"][role]) & (features["run"] == run)]
    return rows.sort_values("step")


def _losses(
    ax: Axes,
    features: pd.DataFrame,
    every: pd.DataFrame,
    analysis: Mapping[str, Any],
    config: Config,
    role: str,
    handles: dict[str, Any],
) -> list[pd.DataFrame]:
    """Measured losses of all runs and the law at every step."""
    found, parts = analysis["sets"][role], []
    law = Fit.from_json(found["fit"])
    for run in (*analysis["fitted_runs"], *analysis["heldout_runs"]):
        heldout = run in analysis["heldout_runs"]
        part = _rows(features, analysis, role, run)
        look: dict[str, Any] = {"ms": 2.6, "zorder": 3} | (
            {"ms": 3.6, "mfc": "none", "mec": HELDOUT, "mew": 0.8, "zorder": 2.5} if heldout else {}
        )
        label = f"{run.replace('_', ' ')}, {'held out' if heldout else 'fitted'}"
        handles[label] = fitted.dots(ax, part, _colour(analysis, run), **look)
        parts.append(style.long(role, label, run, part["step"], part["loss"]))
        curve = fitted.law_curve(law, every, run, config)
        (handles[LAW],) = ax.plot(curve["step"], curve["loss"], **style.LAW)
        parts.append(style.long(role, LAW, run, curve["step"], curve["loss"]))
    handles[LAW] = handles.pop(LAW)  # last in the legend
    (handles[S1_ONLY],) = ax.plot([], [], **style.RIVAL)  # drawn in the panel below
    errors = (
        ("held-out error", found["heldout"]),
        ("without $S_2$", found["s1_only"]["heldout"]),
        ("last loss", found["last_value"]["heldout"]),
    )
    said = [f"{name} {_percent(values['mean_relative_error'])}" for name, values in errors]
    ax.set_title(f"{said[0]}\n{said[1]}, {said[2]}", fontsize=style.SMALL, pad=3)
    return parts


def _errors(ax: Axes, features: pd.DataFrame, analysis: Mapping[str, Any], role: str) -> list[pd.DataFrame]:
    """(Law - loss) / loss in % on the held-out runs; dotted lines where the fitted runs end."""
    found, parts = analysis["sets"][role], []
    ax.axhline(0, color="#444444", lw=0.6)
    for name, key, look in ((LAW, found["fit"], style.LAW), (S1_ONLY, found["s1_only"]["fit"], style.RIVAL)):
        law = Fit.from_json(key)
        for run in analysis["heldout_runs"]:
            part = _rows(features, analysis, role, run)
            error = 100 * (law.predict(part) / part["loss"] - 1)
            ax.plot(part["step"], error, **look)
            parts.append(style.long(f"{role}_error", name, run, part["step"], error))
    for run in analysis["fitted_runs"]:
        end = float(features.loc[features["run"] == run, "step"].max())
        ax.axvline(end, color=_colour(analysis, run), lw=0.8, ls=":", zorder=0.5)
    return parts


def _percent(value: float | None) -> str:
    return "--" if value is None else f"{100 * value:.2f} %"


def _equations(analysis: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, equation and colour of every fit of the figure and of the paper's."""
    ours = [(LABELS[role], equation(found["parameters"]), style.BLACK) for role, found in analysis["sets"].items()]
    theirs = [
        (f"paper, {item['setting']}, {item['validation']}", equation(item["parameters"]), style.GREY)
        for item in analysis["published"]
    ]
    return ours + theirs


def equation(p: Mapping[str, float]) -> str:
    """Eq. 4 with S1pt a number and without S2pt, as mathtext; a negative beta makes the power of the shift positive."""
    number = equations.number
    sign = "-" if p["B"] < 0 else "+"
    exponent = number(-p["beta"])
    return (
        rf"$L = {p['L0']:.3f} + {number(p['A'])}\,({number(p['S1pt'])}+{equations.S1CPT})^{{-{number(p['alpha'])}}}"
        rf" - {number(p['C2'])}\,{equations.S2CPT}"
        rf" {sign} {number(abs(p['B']))}\,[1-(1+{number(p['E'])}\,{equations.S1CPT})^{{{exponent}}}]$"
    )


def _write(ax: Axes, lines: list[tuple[str, str, str]]) -> None:
    """The equations, one a line, over the width of the figure."""
    ax.axis("off")
    for i, (name, text, colour) in enumerate(lines):
        look: dict[str, Any] = {"transform": ax.transAxes, "fontsize": style.SMALL, "color": colour, "va": "center"}
        y = 1 - (i + 0.5) / len(lines)
        ax.text(0, y, name, **look)
        ax.text(0.28, y, text, **look)
