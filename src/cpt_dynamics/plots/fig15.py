"""Figure 15: Eq. 7, the law with model size, fitted to all sizes at once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import equations, fitted, published, selection, style
from cpt_dynamics.figures.kit import joint_figure as fig03
from cpt_dynamics.fitting import Fit
from cpt_dynamics.laws import get

COLOURS = (style.VERMILION, style.ORANGE, style.GREEN, style.PURPLE, style.SKY)  # by schedule
Laws = Mapping[str, Mapping[str, Fit]]  # role -> model -> a law of Eq. 4


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """A column for each size; above a row Eq. 7 with its coefficients and, in grey, the printed ones."""
    laws: dict[str, dict[str, Fit]] = {}
    lines = {}
    for role, found in analysis["fits"].items():
        fit = Fit.from_json(found["fit"])
        sizes = {model: one["parameters"] for model, one in found["at_size"].items()}
        laws[role] = {model: replace(fit, law=get("cpt"), parameters=p) for model, p in sizes.items()}
        lines[role] = _equation(role, found)
    return by_size(curves, schedules, analysis, config, laws, lines, "Eq. 7, fitted to all sizes", 6.4)


def _equation(role: str, found: Mapping[str, Any]) -> fig03.Lines:
    quality = f"$R^2$ = {fig03.r2(found['r2'])} over all rows, {fig03.r2(found['r2_continual'])} over those of CPT"
    ours = equations.cpt_size(found["parameters"])
    theirs = equations.cpt_size(published.find("fig15", role).parameters)
    return [
        ("this fit", f"{quality} ($N$ in millions)", style.BLACK),
        *(("", text, style.BLACK) for text in ours),
        ("paper", theirs[0], style.GREY),
        ("", theirs[1], style.GREY),
    ]


def by_size(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    analysis: Mapping[str, Any],
    config: Config,
    laws: Laws,
    lines: Mapping[str, fig03.Lines],
    name: str,
    height: float,
) -> tuple[Figure, pd.DataFrame]:
    """LR above, and losses of all schedules with the law below, a column for each size; height in inches."""
    count = len(next(iter(lines.values())))
    with style.context():
        figure = Figure(figsize=(style.WIDTH, height), layout="constrained")
        style.pads(figure, hspace=0.0)
        models = analysis["models"]
        ratios = [0.42, *[0.13 * count, 1.0] * len(laws)]
        spec = figure.add_gridspec(len(ratios), len(models), height_ratios=ratios)
        places = {"lr": 0, **{role: 2 + 2 * i for i, role in enumerate(laws)}}
        tables: list[pd.DataFrame] = []
        handles: dict[str, Any] = {}
        rows: dict[str, list[Axes]] = {place: [] for place in places}
        for j, (model, runs) in enumerate(models.items()):
            column = {place: figure.add_subplot(spec[i, j]) for place, i in places.items()}
            column["lr"].set_title(f"{model}, {parameters(analysis['params'][model])} parameters")
            for run, colour in zip(runs, COLOURS * len(runs), strict=False):
                plan = selection.of_runs(schedules, [run], "schedules")
                style.lr_panel(column["lr"], plan, color=colour)
                tables.append(style.long("lr", "", run, plan["step"], plan["lr"]))
                for role, sizes in laws.items():
                    tables += _lines(
                        column[role],
                        curves,
                        schedules,
                        analysis,
                        config,
                        run,
                        role,
                        sizes[model],
                        colour,
                        handles,
                        name,
                    )
            for place, ax in column.items():
                rows[place].append(ax)
            fig03.steps(list(column.values()), plan)
        for role in laws:
            drawn = pd.concat(tables)
            seen = drawn[(drawn["panel"] == role) & (drawn["series"] != name)]
            style.loss_limits(rows[role][0], [seen.loc[seen["x"] >= 0.18 * seen["x"].max(), "y"]])
            for ax in rows[role][1:]:
                ax.set_ylim(rows[role][0].get_ylim())
        fig03.label_rows(rows, analysis["validations"])
        for role, text in lines.items():
            fig03.write_lines(figure.add_subplot(spec[places[role] - 1, :]), text)
        handles[name] = handles.pop(name)  # last in the legend
        style.legend_below(figure, handles, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _lines(
    ax: Axes,
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    analysis: Mapping[str, Any],
    config: Config,
    run: str,
    role: str,
    law: Fit,
    colour: str,
    handles: dict[str, Any],
    name: str,
) -> list[pd.DataFrame]:
    """Losses of one run and the law."""
    first = int(analysis["first_step"])
    label = f"CPT, {fig03.schedule_name(run, selection.of_runs(schedules, [run], 'schedules'))}"
    rows = fitted.measured(curves, run, analysis["validations"][role], first)
    tables = fig03.losses(ax, rows, role, run, handles, colour, label)
    curve = fitted.law_curve(law, schedules, run, config, first)
    (handles[name],) = ax.plot(curve["step"], curve["loss"], **{**style.LAW, "lw": 1.1})
    return [*tables, style.long(role, name, run, curve["step"], curve["loss"])]


def parameters(count: int) -> str:
    """A number of parameters, such as 332K or 1.72B."""
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= unit:
            return f"{count / unit:.3g}{letter}"
    return str(count)
