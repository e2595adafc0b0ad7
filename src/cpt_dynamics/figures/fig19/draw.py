"""Figure 19: Eq. 8 fitted jointly to CPT at all replay ratios."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig19.result import FormsOfSet, Result
from cpt_dynamics.figures.kit import coefficients, fitted, published, selection, style
from cpt_dynamics.figures.kit.law_steps import law_steps
from cpt_dynamics.fitting import Fit

COLOURS = (style.VERMILION, style.ORANGE, style.GREEN, style.SKY, style.PURPLE)  # of the ratios, from 0 % on
FORMS: dict[str, tuple[str, style.Look]] = {
    "printed": ("Eq. 8 as printed", {"ls": "-", "lw": 1.1}),
    "exchanged": ("exchanged growths", {"ls": (0, (2.5, 1.2)), "lw": 1.1}),
}
NAMES = {"printed": "as printed", "exchanged": "exchanged"}  # beside the coefficients


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """CPT losses of each ratio with both forms, a column for each LR schedule; above a row, its coefficients."""
    columns = result.schedules
    colours = {ratio: COLOURS[i % len(COLOURS)] for i, ratio in enumerate(result.ratios)}
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 6.6), layout="constrained")
        style.pads(figure, hspace=0.0)
        spec = figure.add_gridspec(4, len(columns), height_ratios=[0.4, 1, 0.4, 1])
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        for i, (role, validation) in enumerate(result.validations.items()):
            _coefficients(figure.add_subplot(spec[2 * i, :]), result.fits[role], role)
            axes: list[Axes] = []
            for j, runs in enumerate(columns):
                ax = figure.add_subplot(spec[2 * i + 1, j], sharey=axes[0] if axes else None)
                axes.append(ax)
                tables += _panel(ax, data, result, runs, role, colours, handles)
                run = next(iter(runs.values()))
                ax.set_title(style.schedule_label(data.experiments.runs[run]))
                ax.set_xlabel("CPT step" if i else "")
                if j:
                    ax.tick_params(labelleft=False)
            axes[0].set_ylabel(style.loss_label(role, validation))
        for name, look in FORMS.values():
            (handles[name],) = axes[0].plot([], [], color=style.BLACK, **look)
        style.legend_below(figure, handles, columns=4)
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
    """Losses of the CPT steps of one LR schedule and both forms of the law, a colour for each ratio."""
    tables = []
    for ratio, run in runs.items():
        rows = fitted.measured(data.curves, run, result.validations[role])
        rows = rows[rows["phase"] == "continual"]
        label = f"{100 * float(ratio):.0f} % replay"
        (handles[label],) = ax.plot(
            rows["phase_step"], rows["loss"], **{**style.DOTS, "color": colours[ratio], "alpha": 0.6}
        )
        tables.append(style.long(role, f"measured, {label}", run, rows["phase_step"], rows["loss"]))
        for form, found in result.fits[role].growths.items():
            curve = _law_curve(found.fit, data.schedules, run, float(ratio))
            ax.plot(curve["phase_step"], curve["loss"], color=colours[ratio], **FORMS[form][1])
            tables.append(style.long(role, f"{form}, {label}", run, curve["phase_step"], curve["loss"]))
    return tables


def _law_curve(found: Fit, schedules: pd.DataFrame, run: str, ratio: float) -> pd.DataFrame:
    """Prediction of Eq. 8 at CPT steps of a run with that replay ratio."""
    areas = selection.with_areas_of(law_steps(schedules, run), schedules, found.settings)
    areas = areas[areas["phase"] == "continual"].assign(replay=ratio)
    return areas.assign(loss=found.predict(areas))


def _coefficients(ax: Axes, forms: FormsOfSet, role: Role) -> None:
    """The coefficients and R2 of both forms and the published coefficients, over the width of the figure."""
    lines = []
    for form, found in forms.growths.items():
        quality = f"$R^2$ {_decimals(found.r2)}, in CPT {_decimals(found.r2_continual)}"
        lines += [
            (NAMES[form], coefficients.line(found.parameters), style.BLACK),
            ("", quality, style.BLACK),
        ]
    lines.append(("paper, 106M", coefficients.line(published.find("fig19", role).parameters), style.GREY))
    coefficients.block(ax, lines, indent=0.115)


def _decimals(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
