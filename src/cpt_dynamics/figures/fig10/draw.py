"""Figure 10: the coefficients of Fig. 3 predict CPT under LR schedules that were not fitted."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig10.result import Result
from cpt_dynamics.figures.kit import fitted, selection, style
from cpt_dynamics.figures.kit.joint_figure import losses
from cpt_dynamics.figures.kit.result import Errors

LAW = "Eq. 4 fitted to other schedules"
S1_ONLY = "the same law without $S_2$"


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """One column for each held-out run: LR, and loss with the predictions on both validation sets."""
    runs = result.heldout_runs
    with style.context():
        figure, axes = style.grid(len(runs), 4.9, [0.42, 1, 1])
        style.panel_letters(axes)
        tables: list[pd.DataFrame] = []
        handles: style.Handles = {}
        for j, run in enumerate(runs):
            plan = selection.of_runs(data.schedules, [run], "schedules")
            before = int((plan["phase"] == "pretraining").sum())
            style.lr_panel(axes[0, j], plan, color=style.BLACK)
            axes[0, j].set_title(style.schedule_label(data.experiments.runs[run]))
            tables.append(style.long("lr", "", run, plan["step"], plan["lr"]))
            for ax in axes[:, j]:
                style.transfer_line(ax, before)
            for i, role in enumerate(result.validations, start=1):
                tables += _panel(axes[i, j], data, result, run, role, handles)
            style.steps_axis(axes[-1, j], len(plan))
        for i, (role, validation) in enumerate(result.validations.items(), start=1):
            axes[i, 0].set_ylabel(style.loss_label(role, validation))
            measured = [fitted.measured(data.curves, run, validation) for run in runs]
            seen = [style.shown(rows, int(plan["step"].max()), 0.2) for rows in measured]
            drawn = pd.concat(tables)
            predicted = drawn[(drawn["panel"] == role) & drawn["series"].isin([LAW, S1_ONLY])]
            style.loss_limits(axes[i, 0], [*seen, predicted.loc[predicted["x"] > before, "y"]])
        axes[0, 0].set_ylabel(r"LR ($10^{-3}$)")
        figure.align_ylabels(axes[:, 0])
        style.legend_below(figure, handles, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _panel(
    ax: Axes, data: FigureData, result: Result, run: str, role: Role, handles: style.Handles
) -> list[pd.DataFrame]:
    """Measured losses, the predictions of Eq. 4 and of the law without annealing, and their errors in CPT."""
    found, first = result.predictions[role], result.first_step
    rows = fitted.measured(data.curves, run, result.validations[role], first)
    tables = losses(ax, rows, role, run, handles)
    for name, fit, line in ((LAW, found.fit, style.LAW), (S1_ONLY, found.s1_only_fit, style.RIVAL)):
        curve = fitted.law_curve(fit, data.schedules, run, first)
        (handles[name],) = ax.plot(curve["step"], curve["loss"], **line)
        tables.append(style.long(role, name, run, curve["step"], curve["loss"]))
    errors = found.runs[run]
    text = f"CPT error, mean (worst): Eq. 4 {_percent(errors.law)},\nwithout $S_2$ {_percent(errors.s1_only)}"
    ax.set_title(text, loc="right", fontsize=style.SMALL, pad=3)
    return tables


def _percent(errors: Errors) -> str:
    mean, worst = errors.mean_relative_error, errors.worst_relative_error
    return "–" if mean is None or worst is None else f"{100 * mean:.2f} % ({100 * worst:.1f} %)"
