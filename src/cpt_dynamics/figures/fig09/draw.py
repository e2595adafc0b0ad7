"""Figure 9: loss on an out-of-domain set that rises and on one that falls during CPT, with Eq. 6."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig09.result import Result, RunOfSet
from cpt_dynamics.figures.kit import out_of_domain, selection, style

SERIES: dict[str, tuple[str, style.Look]] = {
    "measured": ("loss", {**style.DOTS, "color": style.VERMILION, "ms": 3.2}),
    "Eq. 6 of the measured losses": ("predicted", style.LAW),
    "Eq. 6 of the losses that Eq. 4 predicts": ("law", style.RIVAL),
}
RANKS = {"best": "smallest error", "median": "median error", "worst": "largest error"}


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """A row for the rising and one for the falling set; a column for each of three held-out runs, with its LR."""
    shown, directions = result.shown, dict(result.directions)
    with style.context():
        if not shown:
            figure = Figure(figsize=(style.WIDTH, 1.5), layout="constrained")
            style.nothing(figure.subplots(), "no out-of-domain set with held-out losses")
            return figure, style.long("", "", "", [], [])
        figure, axes = style.grid(len(shown), 4.9, [0.42, *(1.0 for _ in directions)])
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        for j, (rank, run) in enumerate(shown.items()):
            plan = selection.of_runs(data.schedules, [run], "schedules")
            after = plan[plan["phase"] == "continual"].assign(step=lambda rows: range(1, len(rows) + 1))
            style.lr_panel(axes[0, j], after, color=style.BLACK)
            axes[0, j].set_title(f"{RANKS[rank]}: {run.replace('_', ' ')}", fontsize=style.SMALL)
            tables.append(style.long("lr", "", run, after["step"], after["lr"]))
            style.steps_axis(axes[-1, j], len(after))
            axes[-1, j].set_xlabel("CPT step")
        for i, (direction, found) in enumerate(directions.items(), start=1):
            if found is None:
                for ax in axes[i]:
                    ax.axis("off")
                axes[i, 0].set_title(f"no set is {direction}", fontsize=style.SMALL, loc="left")
                continue
            for ax, run in zip(axes[i], shown.values(), strict=True):
                tables += _panel(ax, direction, run, found.runs[run], handles)
            combination = out_of_domain.equation(found.weights)
            axes[i, 0].set_ylabel(f"loss on {found.validation} ({direction})\n{combination}")
        top = max(part["y"].max() for part in tables if (part["panel"] == "lr").all())
        axes[0, 0].set_ylim(0, 1.08e3 * top)
        axes[0, 0].set_ylabel(r"LR ($10^{-3}$)")
        figure.align_ylabels(axes[:, 0])
        style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True)


def _panel(ax: Axes, direction: str, run: str, found: RunOfSet, handles: style.Handles) -> list[pd.DataFrame]:
    """Measured and predicted losses of a run, and the mean absolute errors."""
    table, parts = pd.DataFrame(dict(found.table)), []
    for label, (column, look) in SERIES.items():
        (handles[label],) = ax.plot(table["phase_step"], table[column], **look)
        parts.append(style.long(direction, label, run, table["phase_step"], table[column]))
    ax.set_title(f"error {found.measured:.4f}, by Eq. 4 {found.law:.4f}", fontsize=style.SMALL, pad=3)
    return parts
