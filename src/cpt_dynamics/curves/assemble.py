"""Curves of whole runs, put together from the branches that trained them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from cpt_dynamics.curves.table import BRANCH
from cpt_dynamics.experiments import Plan, Run
from cpt_dynamics.files import read_json, read_table
from cpt_dynamics.layout import BRANCH_SCHEMA, Layout
from cpt_dynamics.training.instances import trained_together


def assemble(runs: Iterable[Run], plan: Plan, layout: Layout) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The curve table and the schedules of runs whose branches are trained.

    A step that a run shares with others has the losses measured there; phases are named as this run names them.
    """
    runs = list(runs)
    curves = [with_branch(_curve(run, plan, layout), run.name, plan) for run in runs]
    return pd.concat(curves, ignore_index=True), pd.concat([_schedule(run) for run in runs], ignore_index=True)


def with_branch(curves: pd.DataFrame, run: str, plan: Plan) -> pd.DataFrame:
    """The rows of a run with the column `branch`."""
    return curves.assign(**{BRANCH: plan.origin(run, curves["step"])})


def _schedule(run: Run) -> pd.DataFrame:
    phases = np.repeat([phase.phase for phase in run.phases], [phase.steps for phase in run.phases])
    return pd.DataFrame({"run": run.name, "step": np.arange(1, run.steps + 1), "phase": phases, "lr": run.lr})


def _curve(run: Run, plan: Plan, layout: Layout) -> pd.DataFrame:
    parts, before = [], 0
    chain = plan.chains[run.name]
    for (_, last), path in zip(chain, trained_together([branch for branch, _ in chain], layout), strict=True):
        rows = read_table(path, BRANCH_SCHEMA)
        parts.append(rows[(rows["step"] >= before) & (rows["step"] <= last)])
        before = last
    # Where a branch leaves its parent both were evaluated, in the same state.
    curve = pd.concat(parts).drop_duplicates(["step", "validation"]).sort_values(["validation", "step"])
    continual = curve["step"] > run.transfer_step
    return curve.assign(
        run=run.name,
        seed=run.seed,
        model=run.model,
        params=read_json(layout.branch(chain[-1][0]).with_suffix(".json"))["parameters"],
        phase=np.where(continual, "continual", "pretraining"),
        phase_step=np.where(continual, curve["step"] - run.transfer_step, curve["step"]),
    )
