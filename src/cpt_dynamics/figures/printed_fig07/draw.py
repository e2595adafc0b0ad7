"""Figure 7 from printed coefficients: final losses against the peak LR of CPT, and the critical point."""

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import loss_potential, style
from cpt_dynamics.figures.printed_fig07.result import Result, TurningRuns

UNIT = 1e4  # the LR is drawn in units of 1e-4
RUNS: tuple[style.Look, ...] = ({"color": style.VERMILION}, {"color": style.BLUE}, {"color": style.GREEN})


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """D_pt and D_cpt loss against the peak LR, a curve for each length, and the D_pt loss during two CPT runs."""
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 3.1), layout="constrained")
        style.pads(figure)
        axes = figure.subplots(1, 3)
        handles: dict[str, Artist] = {}
        tables = []
        for ax, letter, role in zip(axes, "ab", (Role.GENERAL, Role.STRONG), strict=False):
            tables += loss_potential.lengths(ax, letter, result.lengths, role, UNIT, handles)
            loss_potential.printed_range(ax, result.ranges[role], handles)
            ax.set_xlabel(r"peak LR of CPT ($10^{-4}$)")
            ax.set_ylabel(f"final {style.loss_label(role, result.validations[role])}")
        tables += _turning(axes[2], result.turning, handles)
        axes[2].set_ylabel(style.loss_label("general", result.validations[Role.GENERAL]))
        style.panel_letters(axes)
        style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True)


def _turning(ax: Axes, turning: TurningRuns, handles: dict[str, Artist]) -> list[pd.DataFrame]:
    """D_pt loss against the step of CPT, its start, the critical point and the turning length."""
    tables = []
    for run, look in zip(turning.runs, RUNS, strict=False):
        name = f"CPT after PT of {run.pretraining_steps:,} steps"
        steps, loss = np.array(run.steps) / 1e3, np.array(run.loss)
        (handles[name],) = ax.plot(steps, loss, **look)
        (handles["loss of the PT checkpoint"],) = ax.plot(
            steps[[0, -1]], [run.start] * 2, color=style.GREY, ls=":", lw=0.9, zorder=1
        )
        tables.append(style.long("c", "loss", name, steps, loss))
        tables.append(style.long("c", "start", name, steps[[0, -1]], [run.start] * 2))
        if run.turning:
            at = run.turning / 1e3
            (handles["turning length"],) = ax.plot([at], [run.start], **{**loss_potential.STAR, "mfc": style.GREEN})
            tables.append(style.long("c", "turning length", name, [at], [run.start]))
    last = max(run.steps[-1] for run in turning.runs) / 1e3
    critical = [turning.critical_point] * 2
    (handles["critical point"],) = ax.plot([0, last], critical, color=style.BLACK, ls="--", lw=1.0, zorder=1)
    ax.set_xlim(-0.02 * last, 1.02 * last)
    ax.set_xlabel("step of CPT (thousands)")
    return [*tables, style.long("c", "critical point", "", [0, last], critical)]
