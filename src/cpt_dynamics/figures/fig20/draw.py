"""Figure 20: the variants of the annealing area on the runs of Fig. 3, and their errors on held-out runs."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig20.result import FormFit, Result
from cpt_dynamics.figures.kit import fitted, selection, style
from cpt_dynamics.figures.kit.law_steps import law_steps

VARIANTS = {
    "lr_weighted_01": r"Eq. 9, $\epsilon$ = 0.1",
    "lr_weighted_02": r"Eq. 9, $\epsilon$ = 0.2",
    "power": "Eq. 10",
}
COLOURS = (style.VERMILION, style.ORANGE, style.GREEN, style.PURPLE, style.SKY)  # of the schedules with CPT
LAW: style.Look = {"color": style.BLACK, "ls": "-", "lw": 0.8}
MARKS: dict[str, style.Look] = {
    "Eq. 4": {"marker": "o", "color": style.BLACK, "mfc": "none", "ms": 5},
    VARIANTS["lr_weighted_01"]: {"marker": "^", "color": style.BLUE, "ms": 3.6},
    VARIANTS["lr_weighted_02"]: {"marker": "v", "color": style.SKY, "ms": 3.6},
    VARIANTS["power"]: {"marker": "s", "color": style.VERMILION, "ms": 3.2},
}


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """A column for each variant and a row for each validation set; below, the errors on the held-out runs."""
    runs = [run.name for run in selection.transfers(data.experiments, result.runs)]
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 6.8), layout="constrained")
        style.pads(figure)
        spec = figure.add_gridspec(3, 6, height_ratios=[1, 1, 1.15])
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        for i, (role, validation) in enumerate(result.validations.items()):
            axes: list[Axes] = []
            for j, variant in enumerate(VARIANTS):
                ax = figure.add_subplot(spec[i, 2 * j : 2 * j + 2], sharey=axes[0] if axes else None)
                axes.append(ax)
                tables += _panel(ax, data, result, runs, role, variant, handles)
                ax.set_xlabel("step" if i else "")
                if j:
                    ax.tick_params(labelleft=False)
            measured = {run: fitted.measured(data.curves, run, validation) for run in runs}
            style.loss_limits(axes[0], [style.shown(rows, _last(data, run)) for run, rows in measured.items()])
            axes[0].set_ylabel(style.loss_label(role, validation))
        below: list[Axes] = []
        for j, role in enumerate(result.validations):
            ax = figure.add_subplot(spec[2, 3 * j : 3 * j + 3], sharey=below[0] if below else None)
            below.append(ax)
            tables.append(_errors(ax, result, role, handles))
        for ax in below[1:]:
            ax.tick_params(labelleft=False)
        below[0].set_ylabel("held-out run")
        style.legend_below(figure, handles, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _last(data: FigureData, run: str) -> int:
    return int(data.schedules.loc[data.schedules["run"] == run, "step"].max())


def _panel(
    ax: Axes, data: FigureData, result: Result, runs: list[str], role: Role, variant: str, handles: style.Handles
) -> list[pd.DataFrame]:
    """Losses of all schedules with CPT, a colour for each, and the variant fitted to them."""
    found, first = result.sets[role].variants[variant], result.first_step
    tables = []
    for colour, run in zip(COLOURS, runs, strict=False):
        rows = fitted.measured(data.curves, run, result.validations[role], first)
        label = style.schedule_label(data.experiments.runs[run])
        after = rows["phase"] == "continual"
        handles["PT"] = fitted.dots(ax, rows[~after], style.GREY, alpha=0.5)
        handles[f"CPT: {label}"] = fitted.dots(ax, rows[after], colour, alpha=0.7)
        tables.append(style.long(role, f"{variant}, measured", run, rows["step"], rows["loss"]))
        steps = law_steps(data.schedules, run)
        curve = selection.with_areas_of(steps[steps["step"] >= first], data.schedules, found.fit.settings)
        predicted = found.fit.predict(curve)
        (handles["law, fitted jointly"],) = ax.plot(curve["step"], predicted, **LAW)
        tables.append(style.long(role, f"{variant}, law", run, curve["step"], predicted))
        style.transfer_line(ax, float(steps.loc[steps["phase"] == "pretraining", "step"].max()))
    style.steps_axis(ax, max(_last(data, run) for run in runs))
    r2 = "–" if found.r2 is None else f"{found.r2:.4f}"
    ax.set_title(f"{VARIANTS[variant]}\n$R^2$ {r2}, Huber {found.huber_sum:.2g}", fontsize=style.SMALL)
    return tables


def _errors(ax: Axes, result: Result, role: Role, handles: style.Handles) -> pd.DataFrame:
    """Mean relative errors in CPT of each held-out run, a marker for each form of the law."""
    found, runs = result.sets[role], result.heldout_runs
    forms: dict[str, FormFit] = {
        "Eq. 4": found.original,
        **{name: found.variants[key] for key, name in VARIANTS.items()},
    }
    tables = []
    places = list(range(len(runs)))
    for name, form in forms.items():
        errors = [form.heldout.runs[run] for run in runs]
        percent = [float("nan") if error is None else 100 * error for error in errors]
        (handles[name],) = ax.plot(percent, places, ls="", **MARKS[name])
        tables.append(style.long(f"{role}_heldout", name, "", percent, places).assign(run=runs))
    ax.set_yticks(places, [run.replace("_", " ") for run in runs])
    ax.set_ylim(len(runs) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_xlabel(f"mean relative error in CPT on {style.SET_LABELS[role]} (%)")
    return pd.concat(tables)
