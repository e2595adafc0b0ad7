"""Panels of a law that is fitted to several schedules at once: Figs. 3, 11, 12 and 14 to 17."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import equations, fitted, selection, style
from cpt_dynamics.figures.kit.result import JointFit

PT, CPT = "PT, measured", "CPT, measured"
Lines = Sequence[tuple[str, str, str]]  # (name, text, colour) of each line of an equation


def joint_figure(
    data: FigureData,
    columns: Sequence[tuple[str, list[str]]],
    fits: Mapping[Role, JointFit],
    first: int,
    printed: Callable[[Role], tuple[str, str]],
) -> tuple[Figure, pd.DataFrame]:
    """LR above, and losses with the law of each validation set below, a column for each schedule.

    columns: (title, runs under one schedule). first: the first fitted step. printed: role -> name and text of the
    published equation.
    """
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 5.8), layout="constrained")
        style.pads(figure, hspace=0.0)
        spec = figure.add_gridspec(1 + 2 * len(fits), len(columns), height_ratios=[0.42, *[0.42, 1] * len(fits)])
        places: dict[str, int] = {"lr": 0, **{role: 2 + 2 * i for i, role in enumerate(fits)}}
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        rows: dict[str, list[Axes]] = {name: [] for name in places}
        for j, (title, runs) in enumerate(columns):
            column = {name: figure.add_subplot(spec[i, j]) for name, i in places.items()}
            plan = selection.of_runs(data.schedules, runs[:1], "schedules")
            style.lr_panel(column["lr"], plan, color=style.BLACK)
            column["lr"].set_title(title)
            tables.append(style.long("lr", "", runs[0], plan["step"], plan["lr"]))
            for name, ax in column.items():
                rows[name].append(ax)
                if name != "lr":
                    tables += _panel(ax, data, fits[Role(name)], runs, first, handles)
            steps(list(column.values()), plan)
        label_rows(rows, {role: found.validation for role, found in fits.items()})
        for role, found in fits.items():
            name, text = printed(role)
            lines = [*equation("this fit", found), (name, text, style.GREY)]
            write_lines(figure.add_subplot(spec[places[role] - 1, :]), lines)
        style.legend_below(figure, handles, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _panel(
    ax: Axes,
    data: FigureData,
    found: JointFit,
    runs: list[str],
    first: int,
    handles: style.Handles,
) -> list[pd.DataFrame]:
    """Losses of a schedule (all its seeds) and the fitted law, whose highest point in CPT is marked."""
    tables, seen, role = [], [], found.role
    for run in runs:
        rows = fitted.measured(data.curves, run, found.validation, first)
        tables += losses(ax, rows, role, run, handles)
        seen.append(style.shown(rows, int(rows["step"].max())))
    curve = fitted.law_curve(found.fit, data.schedules, runs[0], first)
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


def losses(
    ax: Axes,
    rows: pd.DataFrame,
    role: str,
    run: str,
    handles: style.Handles,
    colour: str = style.VERMILION,
    name: str = CPT,
    before: bool = True,
) -> list[pd.DataFrame]:
    """Measured losses as dots: PT in black (if `before`), CPT in a colour."""
    after = rows["phase"] == "continual"
    tables = []
    for label, part, shade in ((PT, rows[~after], style.BLACK), (name, rows[after], colour)):
        if label == name or before:
            handles[label] = fitted.dots(ax, part, shade, alpha=0.75)
            tables.append(style.long(role, label, run, part["step"], part["loss"]))
    return tables


def _peak(curve: pd.DataFrame) -> pd.Series | None:
    """The highest point of the law after the transfer, if it is neither its first nor its last step."""
    after = curve[curve["phase"] == "continual"]
    if not len(after):
        return None
    top = after.iloc[int(after["loss"].to_numpy().argmax())]
    inside = after["step"].iloc[0] < top["step"] < after["step"].iloc[-1]
    return top if inside else None


def steps(column: Sequence[Axes], plan: pd.DataFrame) -> None:
    """The axis of steps of a column of panels, labelled under the lowest, and the transfer."""
    for ax in column:
        style.transfer_line(ax, int((plan["phase"] == "pretraining").sum()))
        style.steps_axis(ax, len(plan))
    for ax in column[:-1]:
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)


def label_rows(rows: Mapping[str, list[Axes]], validations: Mapping[Role, str]) -> None:
    """One scale and one label for each row of panels: the LR (`lr`) and the loss of each role."""
    for name, axes in rows.items():
        _same_limits(axes, name)
        domain = "strong" if name == "weak" else name
        axes[0].set_ylabel(r"LR ($10^{-3}$)" if name == "lr" else style.loss_label(domain, validations[Role(name)]))
    axes[0].figure.align_ylabels([axes[0] for axes in rows.values()])


def _same_limits(axes: list[Axes], role: str) -> None:
    low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(0 if role == "lr" else low, high)
    for ax in axes[1:]:
        ax.tick_params(labelleft=False)


def equation(name: str, found: JointFit, form: Callable[[Mapping[str, float | None]], str] = equations.cpt) -> Lines:
    """The quality of a joint fit and its equation."""
    quality = f"$R^2$ = {r2(found.r2)} over all rows, {r2(found.r2_continual)} over those of CPT"
    return [(name, quality, style.BLACK), ("", form(found.parameters), style.BLACK)]


def r2(value: float | None, digits: int = 4) -> str:
    """R2, or that it is not defined."""
    return "undefined" if value is None else f"{value:.{digits}f}"


def write_lines(ax: Axes, lines: Lines) -> None:
    """Lines of text over the width of a panel that has no axes, after their names if they have any."""
    ax.axis("off")
    top, step = 1 - 0.72 / len(lines), 1.05 / len(lines)
    longest = max(len(name) for name, _, _ in lines)
    indent = 0.125 + 0.011 * max(longest - len("paper, 106M"), 0) if longest else 0.0
    for i, (name, text, colour) in enumerate(lines):
        line: style.Look = {"transform": ax.transAxes, "fontsize": style.SMALL, "color": colour}
        ax.text(0, top - i * step, name and f"{name}:", **line)
        ax.text(indent, top - i * step, text, **line)
