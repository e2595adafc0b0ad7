"""Figure 12: Eq. 4 fitted separately at each replay ratio (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection, statistics
from cpt_dynamics.figures.kit.joint import SETS, Joint, joint
from cpt_dynamics.files import plain
from cpt_dynamics.laws import get


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One fit of Eq. 4 for each share of D_pt in CPT (`fits`, by the share in percent) and each validation set.

    Runs that are pre-training alone belong to every fit. `shift` is the fitted shift term at the forward area
    `end`, the largest one that all ratios reach; `trend` the slope of its magnitude over the ratio (nats/token
    from no replay to replay alone), one point a ratio.
    """
    entry = selection.entry(experiments, "fig12")
    groups = _groups(curves, config, experiments, list(entry.runs))
    found = {
        ratio: {role: joint(curves, schedules, config, runs, role) for role in SETS} for ratio, runs in groups.items()
    }
    end = min(float(one[role].rows.table["s1cpt"].max()) for one in found.values() for role in SETS)
    shift = {ratio: {role: _shift(one[role], end) for role in SETS} for ratio, one in found.items()}
    moved = {run.name for run in selection.transfers(experiments, entry.runs)}
    return plain(
        {
            "figure": "fig12",
            "title": entry.title,
            "runs": list(entry.runs),
            "ratios": {_percent(ratio): ratio for ratio in groups},
            "groups": {_percent(ratio): [run for run in runs if run in moved] for ratio, runs in groups.items()},
            "validations": selection.roles(config),
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "first_step": config.law.first_step,
            "end": end,
            "fits": {
                _percent(ratio): {role: {**one[role].summary(), "shift": shift[ratio][role]} for role in SETS}
                for ratio, one in found.items()
            },
            "trend": {
                role: statistics.slope_test(
                    list(groups), [abs(one[role]) for one in shift.values()], "replay ratio with a fit of its own"
                )
                for role in SETS
            },
        }
    )


def _groups(curves: pd.DataFrame, config: Config, experiments: Experiments, runs: list[str]) -> dict[float, list[str]]:
    """Replay ratio, ascending -> the CPT runs with it and all runs of pre-training alone."""
    chosen = selection.with_replay(selection.of_runs(curves, runs), experiments, config)
    replay = chosen.groupby("run", sort=False)["replay"].first()
    moved = [run.name for run in selection.transfers(experiments, runs)]
    if not moved:
        raise UserError(f"{config.stated_in}: fig12 has no run with a continual phase: list runs with replay")
    ratios = sorted({float(replay[run]) for run in moved})
    return {ratio: [run for run in runs if run not in moved or replay[run] == ratio] for ratio in ratios}


def _percent(ratio: float) -> str:
    return f"{100 * ratio:g}"


def _shift(found: Joint, s1cpt: float) -> float:
    """The fitted shift term at a forward area of CPT, nats/token."""
    return float(get("shift_power").predict(found.fit.parameters, {"s1cpt": [s1cpt]})[0])
