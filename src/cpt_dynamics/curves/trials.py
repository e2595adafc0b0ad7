"""Trials: the runs that fitted laws recommend for a knob of CPT, and the files of their plan and curves."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from cpt_dynamics import experiments
from cpt_dynamics.config import Config
from cpt_dynamics.curves import table
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments, Plan, Run
from cpt_dynamics.experiments.branches import joined
from cpt_dynamics.files import read_json
from cpt_dynamics.layout import Layout

FIGURE = "recommendations"
KNOBS = ("peak_lr", "replay", "potential")


@dataclass(frozen=True)
class Trials:
    """The runs that try what is recommended for a knob, and all branches, with those of these runs after the others."""

    knob: str
    runs: list[Run]
    plan: Plan


def folder(config: Config) -> Path:
    """Folder of the files below."""
    return Layout(config).root / "recommended"


def plan_path(config: Config) -> Path:
    """What is recommended, with the runs that try it (see `analysis.recommendations.recommend`)."""
    return folder(config) / "plan.json"


def curves_path(config: Config, knob: str) -> Path:
    """Curve table of the runs of a knob."""
    return folder(config) / f"{knob}.parquet"


def schedules_path(config: Config, knob: str) -> Path:
    """The schedules that belong to it."""
    return folder(config) / f"{knob}.schedules.parquet"


def read(config: Config, knob: str) -> pd.DataFrame:
    """Curve table of the runs of a knob; `UserError` where they are not trained."""
    path, schedules = curves_path(config, knob), schedules_path(config, knob)
    for file in (path, schedules):
        if not file.exists():
            raise UserError(f"{file} does not exist: train the runs with `cpt-dynamics trial-runs --knob {knob}`")
    return table.read(path, table.read_schedules(schedules))


def planned(config: Config, knob: str) -> Mapping[str, Any]:
    """Run -> its entry, as experiments.yaml would state it, for every value recommended for a knob."""
    path = plan_path(config)
    if not path.exists():
        raise UserError(f"{path} does not exist: write it with `cpt-dynamics trial-plan`")
    try:
        return {str(name): entry for name, entry in read_json(path)["knobs"][knob]["runs"].items()}
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{path} recommends no runs for {knob}: write it with `cpt-dynamics trial-plan`") from None


def trials(knob: str, known: Experiments, config: Config) -> Trials:
    """The trials of a knob, from the file of the plan."""
    wanted = planned(config, knob)
    extended = known.extended(wanted, config)
    plan = experiments.plan(extended.runs.values(), config)
    return Trials(knob, [extended.runs[name] for name in wanted], plan)


def with_trials(config: Config) -> tuple[Experiments, Plan]:
    """All runs and branches: those of the experiments and, once fits have recommended some, of the trials.

    The branches of the latter are those that `trial-runs` trains knob by knob; they count to the same figure.
    """
    known = experiments.load(config)
    plan = experiments.plan(known.runs.values(), config)
    if FIGURE not in known.figures or not plan_path(config).exists():
        return known, plan
    tried = [trials(knob, known, config) for knob in KNOBS]
    runs = {run.name: run for one in tried for run in one.runs}
    entry = known.figures[FIGURE]
    figures = {**known.figures, FIGURE: entry.model_copy(update={"heldout": [*entry.heldout, *runs]})}
    return replace(known, runs={**known.runs, **runs}, figures=figures), joined([plan, *(one.plan for one in tried)])
