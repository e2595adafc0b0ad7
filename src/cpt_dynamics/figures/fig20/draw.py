"""Figure 20: the variants of the annealing area on the runs of Fig. 3, and their errors on held-out runs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.analysis.fig20 import features_of
from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import fitted, selection, style
from cpt_dynamics.figures.kit.law_steps import law_steps
from cpt_dynamics.fitting import Fit

VARIANTS = {
    "lr_weighted_01": r"Eq. 9, $\epsilon$ = 0.1",
    "lr_weighted_02": r"Eq. 9, $\epsilon$ = 0.2",
    "power": "Eq. 10",
}
COLOURS = (style.VERMILION, style.ORANGE, style.GREEN, style.PURPLE, style.SKY)  # of the schedules with CPT
LAW: dict[str, Any] = {"color": style.BLACK, "ls": "-", "lw": 0.8}
MARKS: dict[str, dict[str, Any]] = {
    "Eq. 4": {"marker": "o", "color": style.BLACK, "mfc": "none", "ms": 5},
    VARIANTS["lr_weighted_01"]: {"marker": "^", "color": style.BLUE, "ms": 3.6},
    VARIANTS["lr_weighted_02"]: {"marker": "v", "color": style.SKY, "ms": 3.6},
    VARIANTS["power"]: {"marker": "s", "color": style.VERMILION, "ms": 3.2},
}


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """A column for each variant and a row for each validation set; below, the errors on the held-out runs."""
    moved = set(schedules.loc[schedules["phase"] == "continual", "run"])
    runs = [run for run in analysis["runs"] if run in moved]
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 6.8), layout="constrained")
        style.pads(figure)
        spec = figure.add_gridspec(3, 6, height_ratios=[1, 1, 1.15])
        tables: list[pd.DataFrame] = []
        handles: dict[str, Any] = {}
        for i, (role, validation) in enumerate(analysis["validations"].items()):
            axes: list[Axes] = []
            for j, variant in enumerate(VARIANTS):
                ax = figure.add_subplot(spec[i, 2 * j : 2 * j + 2], sharey=axes[0] if axes else None)
                axes.append(ax)
                tables += _panel(ax, curves, schedules, analysis, runs, role, variant, handles)
                ax.set_xlabel("step" if i else "")
                if j:
                    ax.tick_params(labelleft=False)
            seen = [style.shown(fitted.measured(curves, run, validation), _last(schedules, run)) for run in runs]
            style.loss_limits(axes[0], seen)
            axes[0].set_ylabel(style.loss_label(role, validation))
        below: list[Axes] = []
        for j, role in enumerate(analysis["validations"]):
            ax = figure.add_subplot(spec[2, 3 * j : 3 * j + 3], sharey=below[0] if below else None)
            below.append(ax)
            tables.append(_errors(ax, analysis, role, handles))
        for ax in below[1:]:
            ax.tick_params(labelleft=False)
        below[0].set_ylabel("held-out run")
        style.legend_below(figure, handles, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _last(schedules: pd.DataFrame, run: str) -> int:
    return int(schedules.loc[schedules["run"] == run, "step"].max())


def _panel(
    ax: Axes,
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    analysis: Mapping[str, Any],
    runs: list[str],
    role: str,
    variant: str,
    handles: dict[str, Any],
) -> list[pd.DataFrame]:
    """Losses of all schedules with CPT, a colour for each, and the variant fitted to them."""
    found = analysis["sets"][role]["variants"][variant]
    fit, first = Fit.from_json(found["fit"]), int(analysis["first_step"])
    tables = []
    for colour, run in zip(COLOURS, runs, strict=False):
        rows = fitted.measured(curves, run, analysis["validations"][role], first)
        label = style.schedule_label(run, selection.of_runs(schedules, [run], "schedules"))
        after = rows["phase"] == "continual"
        handles["PT"] = fitted.dots(ax, rows[~after], style.GREY, alpha=0.5)
        handles[f"CPT: {label}"] = fitted.dots(ax, rows[after], colour, alpha=0.7)
        tables.append(style.long(role, f"{variant}, measured", run, rows["step"], rows["loss"]))
        steps = law_steps(schedules, run)
        curve = features_of(steps[steps["step"] >= first], schedules, fit.settings)
        predicted = fit.predict(curve)
        (handles["law, fitted jointly"],) = ax.plot(curve["step"], predicted, **LAW)
        tables.append(style.long(role, f"{variant}, law", run, curve["step"], predicted))
        style.transfer_line(ax, float(steps.loc[steps["phase"] == "pretraining", "step"].max()))
    style.steps_axis(ax, max(_last(schedules, run) for run in runs))
    r2, huber = _number(found["r2"], ".4f"), _number(found["huber_sum"], ".2g")
    ax.set_title(f"{VARIANTS[variant]}\n$R^2$ {r2}, Huber {huber}", fontsize=style.SMALL)
    return tables


def _number(value: float | None, digits: str) -> str:
    return "–" if value is None else format(value, digits)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _errors(ax: Axes, analysis: Mapping[str, Any], role: str, handles: dict[str, Any]) -> pd.DataFrame:
    """Mean relative errors in CPT of each held-out run, a marker for each form of the law."""
    found, runs = analysis["sets"][role], analysis["heldout_runs"]
    forms = {"Eq. 4": found["original"], **{name: found["variants"][key] for key, name in VARIANTS.items()}}
    tables = []
    places = list(range(len(runs)))
    for name, form in forms.items():
        percent = [100 * _or_nan(form["heldout"]["runs"][run]) for run in runs]
        (handles[name],) = ax.plot(percent, places, ls="", **MARKS[name])
        tables.append(style.long(f"{role}_heldout", name, "", percent, places).assign(run=runs))
    ax.set_yticks(places, [run.replace("_", " ") for run in runs])
    ax.set_ylim(len(runs) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_xlabel(f"mean relative error in CPT on {style.SET_LABELS[role]} (%)")
    return pd.concat(tables)
