"""Curves of whole runs, put together from the branches that trained them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.curves import table
from cpt_dynamics.curves.table import BRANCH
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Branch, Plan, Run
from cpt_dynamics.experiments.branches import measured_steps
from cpt_dynamics.files import read_table
from cpt_dynamics.layout import BRANCH_COLUMNS, BRANCH_SCHEMA, Layout
from cpt_dynamics.training.instances import trained_together
from cpt_dynamics.training.results import Manifest, manifest_of

Read = dict[Path, tuple[pd.DataFrame, Manifest]]  # losses of branches, which runs share


def assemble(runs: Iterable[Run], plan: Plan, layout: Layout) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The curve table and the schedules of runs whose branches are trained.

    A step that a run shares with others has the losses measured there; phases are named as this run names them.
    """
    runs = list(runs)
    if not runs:
        raise UserError("there is no run to put curves together of: name one")
    read: Read = {}
    curves = [with_branch(_curve(run, plan, layout, read), run.name, plan) for run in runs]
    return pd.concat(curves, ignore_index=True), pd.concat([_schedule(run) for run in runs], ignore_index=True)


def trained(runs: Iterable[Run], plan: Plan, layout: Layout) -> list[Run]:
    """Those of the runs whose branches all have losses and a manifest."""
    files = {name: [layout.branch(name), layout.branch(name).with_suffix(".json")] for name in plan.branches}
    return [run for run in runs if all(file.exists() for name, _ in plan.chains[run.name] for file in files[name])]


def with_branch(curves: pd.DataFrame, run: str, plan: Plan) -> pd.DataFrame:
    """The rows of a run with the column `branch`."""
    return curves.assign(**{BRANCH: plan.origin(run, curves["step"])})


def _schedule(run: Run) -> pd.DataFrame:
    phases = np.repeat([phase.phase for phase in run.phases], [phase.steps for phase in run.phases])
    return pd.DataFrame({"run": run.name, "step": np.arange(1, run.steps + 1), "phase": phases, "lr": run.lr})


def _curve(run: Run, plan: Plan, layout: Layout, read: Read) -> pd.DataFrame:
    parts, before = [], 0
    chain = plan.chains[run.name]
    for (name, last), path in zip(chain, trained_together([branch for branch, _ in chain], layout), strict=True):
        if path not in read:
            read[path] = losses_of(path, plan.branches[name], layout.config)
        rows, manifest = read[path]
        parts.append(rows[(rows["step"] >= before) & (rows["step"] <= last)])
        before = last
    # Where a branch leaves its parent both were evaluated, in the same state.
    curve = pd.concat(parts).drop_duplicates(["step", "validation"]).sort_values(["validation", "step"])
    return _named(curve, run, manifest.parameters)


def losses_of(path: Path, branch: Branch, config: Config) -> tuple[pd.DataFrame, Manifest]:
    """The losses of a training of a branch, and their manifest.

    Raises `UserError` unless they are those of the manifest, of this branch, and of all the steps that the plan has.
    """
    remedy = "delete it and train it again"
    manifest = manifest_of(path)
    rows = read_table(path, BRANCH_SCHEMA)
    if manifest.branch != branch.id:
        raise UserError(f"{path} has the losses of {manifest.branch}, not those of {branch.id}: {remedy}")
    try:
        table.check_columns(rows, {name: table.CURVE_COLUMNS[name] for name in BRANCH_COLUMNS}, str(path))
        table.check_curves(_named(rows, branch.run, manifest.parameters), str(path))
    except UserError as error:
        raise UserError(f"{error}: {remedy}") from None
    steps = {str(name): set(found) for name, found in rows.groupby("validation")["step"]}
    for name, planned in measured_steps(branch, config).items():
        if wrong := sorted(planned ^ steps.pop(name, set())):
            has = "lacks" if wrong[0] in planned else "has"
            raise UserError(f"{path} {has} the loss on {name} after step {wrong[0]}, unlike the plan: {remedy}")
    if steps:
        raise UserError(f"{path} has losses on {next(iter(steps))}, which is not in the plan: {remedy}")
    return rows, manifest


def _named(rows: pd.DataFrame, run: Run, parameters: int) -> pd.DataFrame:
    """Losses of a branch as the curve of a run."""
    continual = rows["step"] > run.transfer_step
    return rows.assign(
        run=run.name,
        seed=run.seed,
        model=run.model,
        params=parameters,
        phase=np.where(continual, "continual", "pretraining"),
        phase_step=np.where(continual, rows["step"] - run.transfer_step, rows["step"]),
    )
