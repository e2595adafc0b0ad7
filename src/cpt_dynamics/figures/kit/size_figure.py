"""Panels of laws at several model sizes, a column for each: Figs. 15 and 16."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import fitted, selection, style
from cpt_dynamics.figures.kit.joint_figure import Lines, label_rows, losses, steps, write_lines
from cpt_dynamics.figures.kit.result import SizesResult
from cpt_dynamics.figures.kit.text import parameters
from cpt_dynamics.fitting import Fit

COLOURS = (style.VERMILION, style.ORANGE, style.GREEN, style.PURPLE, style.SKY)  # by schedule


def size_figure(
    data: FigureData,
    result: SizesResult,
    laws: Mapping[Role, Mapping[str, Fit]],
    lines: Mapping[Role, Lines],
    name: str,
    height: float,
) -> tuple[Figure, pd.DataFrame]:
    """LR above, and losses of all schedules with the law below, a column for each size.

    laws: role -> model -> a law of Eq. 4. lines: the equations above each row. name: of the law. height: inches.
    """
    count = len(next(iter(lines.values())))
    with style.context():
        figure = Figure(figsize=(style.WIDTH, height), layout="constrained")
        style.pads(figure, hspace=0.0)
        ratios = [0.42, *[0.13 * count, 1.0] * len(laws)]
        spec = figure.add_gridspec(len(ratios), len(result.models), height_ratios=ratios)
        places: dict[str, int] = {"lr": 0, **{role: 2 + 2 * i for i, role in enumerate(laws)}}
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        rows: dict[str, list[Axes]] = {place: [] for place in places}
        for j, (model, runs) in enumerate(result.models.items()):
            column = {place: figure.add_subplot(spec[i, j]) for place, i in places.items()}
            column["lr"].set_title(f"{model}, {parameters(result.params[model])} parameters")
            for run, colour in zip(runs, COLOURS * len(runs), strict=False):
                plan = selection.of_runs(data.schedules, [run], "schedules")
                style.lr_panel(column["lr"], plan, color=colour)
                tables.append(style.long("lr", "", run, plan["step"], plan["lr"]))
                label = f"CPT, {style.schedule_label(data.experiments.runs[run])}"
                for role, sizes in laws.items():
                    measured = fitted.measured(data.curves, run, result.validations[role], result.first_step)
                    tables += losses(column[role], measured, role, run, handles, colour, label)
                    curve = fitted.law_curve(sizes[model], data.schedules, run, result.first_step)
                    (handles[name],) = column[role].plot(curve["step"], curve["loss"], **{**style.LAW, "lw": 1.1})
                    tables.append(style.long(role, name, run, curve["step"], curve["loss"]))
            for place, ax in column.items():
                rows[place].append(ax)
            steps(list(column.values()), plan)
        drawn = pd.concat(tables, ignore_index=True)
        for role in laws:
            seen = drawn[(drawn["panel"] == role) & (drawn["series"] != name)]
            style.loss_limits(rows[role][0], [seen.loc[seen["x"] >= 0.18 * seen["x"].max(), "y"]])
            for ax in rows[role][1:]:
                ax.set_ylim(rows[role][0].get_ylim())
        label_rows(rows, result.validations)
        for role, text in lines.items():
            write_lines(figure.add_subplot(spec[places[role] - 1, :]), text)
        handles[name] = handles.pop(name)  # last in the legend
        style.legend_below(figure, handles, columns=4)
    return figure, drawn
