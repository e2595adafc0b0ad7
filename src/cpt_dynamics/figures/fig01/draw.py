"""Figure 1: LR, and the losses of PT, its hidden continuation, CPT, and training on D_cpt from scratch."""

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig01.result import Column, Result
from cpt_dynamics.figures.kit import selection, style

LINES = {
    "pretraining": style.PRETRAINING,
    "hidden": style.HIDDEN,
    "cpt": style.CONTINUAL,
    "scratch": style.SCRATCH,
}
NAMES = {
    "pretraining": r"pre-training on $D_\mathrm{pt}$",
    "hidden": r"hidden curve: still on $D_\mathrm{pt}$",
    "cpt": r"CPT on $D_\mathrm{cpt}$",
    "scratch": r"$D_\mathrm{cpt}$ from scratch",
}


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """One column for each LR schedule."""
    with style.context():
        figure, axes = style.grid(len(result.columns), 4.9, [0.42, 1, 1])
        style.panel_letters(axes)
        tables, handles = [], {}
        seen: dict[Role, list[pd.Series]] = {role: [] for role in result.validations}
        for j, column in enumerate(result.columns):
            plan = selection.of_runs(data.schedules, [column.cpt], "schedules")
            style.lr_panel(axes[0, j], plan, color=style.BLACK)
            axes[0, j].set_title(style.schedule_label(data.experiments.runs[column.cpt]))
            tables.append(style.long("lr", "cpt", column.cpt, plan["step"], plan["lr"]))
            for ax, (role, validation) in zip(axes[1:, j], result.validations.items(), strict=True):
                for series, (run, part) in _parts(data.curves, column, validation).items():
                    (handles[NAMES[series]],) = ax.plot(part["step"], part["loss"], **LINES[series])
                    tables.append(style.long(role, series, run, part["step"], part["loss"]))
                    seen[role].append(style.shown(part, column.steps))
            for ax in axes[:, j]:
                style.transfer_line(ax, column.transfer)
            style.steps_axis(axes[-1, j], column.steps)
        for ax, (role, validation) in zip(axes[1:, 0], result.validations.items(), strict=True):
            ax.set_ylabel(style.loss_label(role, validation))
            style.loss_limits(ax, [part for part in seen[role] if len(part)])
        axes[0, 0].set_ylabel(r"LR ($10^{-3}$)")
        figure.align_ylabels(axes[:, 0])
        style.legend_below(figure, {name: handles[name] for name in NAMES.values()}, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _parts(curves: pd.DataFrame, column: Column, validation: str) -> dict[str, tuple[str, pd.DataFrame]]:
    """The four curves, a run and its rows: pre-training up to the transfer, hidden and CPT from there, scratch."""
    spans = {
        "scratch": (column.scratch, 1, column.steps),
        "hidden": (column.hidden, column.transfer, column.steps),
        "cpt": (column.cpt, column.transfer, column.steps),
        "pretraining": (column.cpt, 1, column.transfer),
    }
    rows = curves[curves["validation"] == validation].sort_values("step")
    return {
        series: (run, rows[(rows["run"] == run) & rows["step"].between(first, last)])
        for series, (run, first, last) in spans.items()
    }
