"""CPT moves the loss from one hidden pre-training curve to the other (arXiv 2505.07796, Figure 1)."""

import numpy as np
import pandas as pd

from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Run
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig01.result import Column, Extremes, Moved, Result
from cpt_dynamics.figures.kit import selection


def analyse(data: FigureData) -> Result:
    """A column for each CPT run of the figure; `UserError` where one of its hidden curves is missing."""
    columns = [_column(data, run) for run in selection.transfers(data.experiments, data.entry.runs)]
    if not columns:
        raise UserError(f"{data.config.stated_in}: fig01 lists no run with a continual phase")
    moved = [np.nan if one.moved is None else one.moved for column in columns for one in column.sets.values()]
    return Result(
        figure="fig01",
        title=data.entry.title,
        validations=selection.roles(data.config),
        columns=columns,
        moved=Extremes(least=np.min(moved), most=np.max(moved)),
    )


def _column(data: FigureData, run: Run) -> Column:
    found = data.experiments.twins(run.name, data.entry.runs)
    if found.scratch is None:
        raise UserError(
            f"{data.config.stated_in}: fig01 needs a run from scratch on the domain corpus with the LR of {run.name!r}"
        )
    rows = selection.of_runs(data.curves, [found.run, found.hidden, found.scratch])
    transfer = run.transfer_step
    sets = {}
    for role, validation in selection.roles(data.config).items():
        here = rows[rows["validation"] == validation]
        cpt, hidden, scratch = (here[here["run"] == name] for name in (found.run, found.hidden, found.scratch))
        sets[role] = _moved(cpt.sort_values("step"), hidden.sort_values("step"), scratch.sort_values("step"), transfer)
    return Column(
        cpt=found.run, hidden=found.hidden, scratch=found.scratch, transfer=transfer, steps=run.steps, sets=sets
    )


def _moved(cpt: pd.DataFrame, hidden: pd.DataFrame, scratch: pd.DataFrame, transfer: int) -> Moved:
    """Losses at the transfer and at the end of CPT, from the curves by ascending step."""
    end = int(cpt["step"].max())
    last_cpt, last_hidden, last_scratch = (_at(curve, end) for curve in (cpt, hidden, scratch))
    gap = last_hidden - last_scratch
    return Moved(
        at_transfer=_at(hidden, transfer),
        cpt_at_end=last_cpt,
        hidden_at_end=last_hidden,
        scratch_at_end=last_scratch,
        moved=(last_hidden - last_cpt) / gap if gap else None,
    )


def _at(curve: pd.DataFrame, step: int) -> float:
    """Loss of a curve at a step, interpolated linearly in log(step) between evaluations."""
    return float(np.interp(np.log(step), np.log(curve["step"]), curve["loss"]))
