"""Figure 3: Eq. 4 fitted jointly to PT and CPT under several LR schedules."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.analysis import published, selection
from cpt_dynamics.config import Config
from cpt_dynamics.fitting import Fit
from cpt_dynamics.plots import equations, fitted, style


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """One column for each schedule with CPT; above a row the fitted equation and, in grey, the printed one."""
    by_group: dict[str, list[str]] = {}
    moved = set(schedules.loc[schedules["phase"] == "continual", "run"])
    for run in (run for run in analysis["runs"] if run in moved):
        by_group.setdefault(selection.group(run), []).append(run)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 5.8), layout="constrained")
        style.pads(figure, hspace=0.0)
        spec = figure.add_gridspec(5, len(by_group), height_ratios=[0.42, 0.42, 1, 0.42, 1])
        tables: list[pd.DataFrame] = []
        handles: dict[str, Any] = {}
        rows: dict[str, list[Axes]] = {"lr": [], "general": [], "strong": []}
        for j, (group, runs) in enumerate(by_group.items()):
            column = {name: figure.add_subplot(spec[i, j]) for name, i in (("lr", 0), ("general", 2), ("strong", 4))}
            plan = selection.of_runs(schedules, runs[:1], "schedules")
            style.lr_panel(column["lr"], plan, color=style.BLACK)
            column["lr"].set_title(style.schedule_label(group, plan))
            tables.append(style.long("lr", "", runs[0], plan["step"], plan["lr"]))
            for role, ax in column.items():
                rows[role].append(ax)
                before = int((plan["phase"] == "pretraining").sum())
                style.transfer_line(ax, before)
                style.steps_axis(ax, len(plan))
                if role != "lr":
                    tables += _panel(ax, curves, schedules, analysis, config, runs, role, handles)
                if role != "strong":
                    ax.set_xlabel("")
                    ax.tick_params(labelbottom=False)
        for role, axes in rows.items():
            _same_limits(axes, role)
            axes[0].set_ylabel(
                r"LR ($10^{-3}$)" if role == "lr" else style.loss_label(role, analysis["validations"][role])
            )
        figure.align_ylabels([axes[0] for axes in rows.values()])
        for i, role in ((1, "general"), (3, "strong")):
            _equation(figure.add_subplot(spec[i, :]), analysis, role)
        style.legend_below(figure, handles, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _panel(
    ax: Axes,
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    analysis: Mapping[str, Any],
    config: Config,
    runs: list[str],
    role: str,
    handles: dict[str, Any],
) -> list[pd.DataFrame]:
    """Losses of a schedule (all its seeds) and the fitted law, whose highest point in CPT is marked."""
    found = Fit.from_json(analysis["fits"][role]["chosen"]["fit"])
    first = int(analysis["first_step"])
    tables, seen = [], []
    for run in runs:
        rows = fitted.measured(curves, run, analysis["validations"][role], first)
        after = rows["phase"] == "continual"
        for name, part, colour in (
            ("PT, measured", rows[~after], style.BLACK),
            ("CPT, measured", rows[after], style.VERMILION),
        ):
            handles[name] = fitted.dots(ax, part, colour, alpha=0.75)
            tables.append(style.long(role, name, run, part["step"], part["loss"]))
        seen.append(style.shown(rows, int(rows["step"].max())))
    curve = fitted.law_curve(found, schedules, runs[0], config, first)
    (handles["Eq. 4, fitted jointly"],) = ax.plot(curve["step"], curve["loss"], **style.LAW)
    tables.append(style.long(role, "Eq. 4", runs[0], curve["step"], curve["loss"]))
    peak = _peak(curve)
    if peak is not None:
        (handles["peak of the law in CPT"],) = ax.plot(
            peak["step"], peak["loss"], marker="v", ms=5, ls="", color=style.ORANGE, mec=style.BLACK, mew=0.5
        )
        tables.append(style.long(role, "peak", runs[0], [peak["step"]], [peak["loss"]]))
    style.loss_limits(ax, seen)
    return tables


def _peak(curve: pd.DataFrame) -> pd.Series | None:
    """The highest point of the law after the transfer, if it is neither its first nor its last step."""
    after = curve[curve["phase"] == "continual"]
    if not len(after):
        return None
    top = after.iloc[int(after["loss"].to_numpy().argmax())]
    inside = after["step"].iloc[0] < top["step"] < after["step"].iloc[-1]
    return top if inside else None


def _same_limits(axes: list[Axes], role: str) -> None:
    low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(0 if role == "lr" else low, high)
    for ax in axes[1:]:
        ax.tick_params(labelleft=False)


def _equation(ax: Axes, analysis: Mapping[str, Any], role: str) -> None:
    """The quality of the joint fit, its equation and the published one, over the width of the figure."""
    ax.axis("off")
    chosen, printed = analysis["fits"][role]["chosen"], published.find("fig03", role)
    quality = f"$R^2$ = {chosen['r2']:.4f} over all rows, {chosen['r2_continual']:.4f} over those of CPT"
    for y, name, text, colour in (
        (0.76, "this fit", quality, style.BLACK),
        (0.42, "", equations.cpt(chosen["parameters"]), style.BLACK),
        (0.06, "paper, 106M", equations.cpt(printed.parameters), style.GREY),
    ):
        line: dict[str, Any] = {"transform": ax.transAxes, "fontsize": style.SMALL, "color": colour}
        ax.text(0, y, name and f"{name}:", **line)
        ax.text(0.125, y, text, **line)
