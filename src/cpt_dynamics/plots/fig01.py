"""Figure 1: LR, and the losses of PT, its hidden continuation, CPT, and training on D_cpt from scratch."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import selection, style

LINES = {"hidden": style.HIDDEN, "scratch": style.SCRATCH, "cpt": style.CONTINUAL}
NAMES = {
    "pretraining": r"pre-training on $D_\mathrm{pt}$",
    "hidden": r"hidden curve: still on $D_\mathrm{pt}$",
    "cpt": r"CPT on $D_\mathrm{cpt}$",
    "scratch": r"$D_\mathrm{cpt}$ from scratch",
}


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """One column for each LR schedule."""
    columns = analysis["columns"]
    with style.context():
        figure, axes = style.grid(len(columns), 4.9, [0.42, 1, 1])
        style.panel_letters(axes)
        tables, handles = [], {}
        for j, column in enumerate(columns):
            plan = selection.of_runs(schedules, [column["cpt"]], "schedules")
            top = axes[0, j]
            style.lr_panel(top, plan, color=style.BLACK)
            top.set_title(style.schedule_label(column["cpt"], plan))
            tables.append(style.long("lr", "cpt", column["cpt"], plan["step"], plan["lr"]))
            for i, (role, validation) in enumerate(analysis["validations"].items(), start=1):
                ax = axes[i, j]
                for series, part in _parts(curves, column, validation).items():
                    line = style.PRETRAINING if series == "pretraining" else LINES[series]
                    (handles[NAMES[series]],) = ax.plot(part["step"], part["loss"], **line)
                    run = column[series] if series in column else column["cpt"]
                    tables.append(style.long(role, series, run, part["step"], part["loss"]))
            for ax in axes[:, j]:
                style.transfer_line(ax, column["transfer"])
            style.steps_axis(axes[-1, j], column["steps"])
        for i, (role, validation) in enumerate(analysis["validations"].items(), start=1):
            axes[i, 0].set_ylabel(style.loss_label(role, validation))
            seen = [
                style.shown(part, column["steps"])
                for column in columns
                for part in _parts(curves, column, validation).values()
            ]
            style.loss_limits(axes[i, 0], [part for part in seen if len(part)])
        axes[0, 0].set_ylabel(r"LR ($10^{-3}$)")
        figure.align_ylabels(axes[:, 0])
        style.legend_below(figure, {name: handles[name] for name in NAMES.values()}, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _parts(curves: pd.DataFrame, column: Mapping[str, Any], validation: str) -> dict[str, pd.DataFrame]:
    """The four curves of a column: pre-training up to the transfer, hidden and CPT from there, scratch."""
    end, transfer = column["steps"], column["transfer"]

    def of(run: str, first: int, last: int) -> pd.DataFrame:
        rows = curves[(curves["run"] == run) & (curves["validation"] == validation)]
        return rows[rows["step"].between(first, last)].sort_values("step")

    return {
        "scratch": of(column["scratch"], 1, end),
        "hidden": of(column["hidden"], transfer, end),
        "cpt": of(column["cpt"], transfer, end),
        "pretraining": of(column["cpt"], 1, transfer),
    }
