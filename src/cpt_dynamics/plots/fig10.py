"""Figure 10: the coefficients of Fig. 3 predict CPT under LR schedules that were not fitted."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cpt_dynamics.config import Config
from cpt_dynamics.figures.kit import fitted, selection, style
from cpt_dynamics.fitting import Fit

LAW = "Eq. 4 fitted to other schedules"
S1_ONLY = "the same law without $S_2$"


def draw(
    curves: pd.DataFrame, schedules: pd.DataFrame, analysis: Mapping[str, Any], config: Config
) -> tuple[Figure, pd.DataFrame]:
    """One column for each held-out run: LR, and loss with the predictions on both validation sets."""
    runs = analysis["heldout_runs"]
    with style.context():
        figure, axes = style.grid(len(runs), 4.9, [0.42, 1, 1])
        style.panel_letters(axes)
        tables: list[pd.DataFrame] = []
        handles: dict[str, Any] = {}
        for j, run in enumerate(runs):
            plan = selection.of_runs(schedules, [run], "schedules")
            before = int((plan["phase"] == "pretraining").sum())
            style.lr_panel(axes[0, j], plan, color=style.BLACK)
            axes[0, j].set_title(style.schedule_label(run, plan))
            tables.append(style.long("lr", "", run, plan["step"], plan["lr"]))
            for ax in axes[:, j]:
                style.transfer_line(ax, before)
            for i, role in enumerate(analysis["validations"], start=1):
                tables += _panel(axes[i, j], curves, schedules, analysis, config, run, role, handles)
            style.steps_axis(axes[-1, j], len(plan))
        for i, (role, validation) in enumerate(analysis["validations"].items(), start=1):
            axes[i, 0].set_ylabel(style.loss_label(role, validation))
            seen = [style.shown(fitted.measured(curves, run, validation), int(plan["step"].max()), 0.2) for run in runs]
            drawn = pd.concat(tables)
            predicted = drawn[(drawn["panel"] == role) & drawn["series"].isin([LAW, S1_ONLY])]
            style.loss_limits(axes[i, 0], [*seen, predicted.loc[predicted["x"] > before, "y"]])
        axes[0, 0].set_ylabel(r"LR ($10^{-3}$)")
        figure.align_ylabels(axes[:, 0])
        style.legend_below(figure, handles, columns=4)
    return figure, pd.concat(tables, ignore_index=True)


def _panel(
    ax: Axes,
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    analysis: Mapping[str, Any],
    config: Config,
    run: str,
    role: str,
    handles: dict[str, Any],
) -> list[pd.DataFrame]:
    """Measured losses, the predictions of Eq. 4 and of the law without annealing, and their errors in CPT."""
    part = analysis["predictions"][role]
    first = int(analysis["first_step"])
    rows = fitted.measured(curves, run, analysis["validations"][role], first)
    after = rows["phase"] == "continual"
    tables = []
    for name, dotted, colour in (
        ("PT, measured", rows[~after], style.BLACK),
        ("CPT, measured", rows[after], style.VERMILION),
    ):
        handles[name] = fitted.dots(ax, dotted, colour, alpha=0.75)
        tables.append(style.long(role, name, run, dotted["step"], dotted["loss"]))
    for name, key, line in (
        (LAW, "fit", style.LAW),
        (S1_ONLY, "s1_only_fit", style.RIVAL),
    ):
        curve = fitted.law_curve(Fit.from_json(part[key]), schedules, run, config, first)
        (handles[name],) = ax.plot(curve["step"], curve["loss"], **line)
        tables.append(style.long(role, name, run, curve["step"], curve["loss"]))
    law, s1_only = part["runs"][run]["law"], part["runs"][run]["s1_only"]
    text = f"CPT error, mean (worst): Eq. 4 {_percent(law)},\nwithout $S_2$ {_percent(s1_only)}"
    ax.set_title(text, loc="right", fontsize=style.SMALL, pad=3)
    return tables


def _percent(errors: Mapping[str, float]) -> str:
    return f"{100 * errors['mean_relative_error']:.2f} % ({100 * errors['worst_relative_error']:.1f} %)"
