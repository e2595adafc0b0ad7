"""The scenario that a run of the experiments is."""

import numpy as np

from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Run
from cpt_dynamics.planning import Scenario

SAME = 1e-6  # of the peak LR: LRs that differ by less are the same


def scenario_of(run: Run, config: Config) -> Scenario | None:
    """PT and CPT of a run as schedules; None where either is not one schedule for as many steps as it has."""
    if [phase.phase for phase in run.phases] != ["pretraining", "continual"]:
        return None
    before, after = run.phases
    if before.own_schedule is None or after.own_schedule is None:
        return None
    return Scenario(
        before.own_schedule,
        before.steps,
        after.own_schedule,
        after.steps,
        config.optimizer.peak_lr,
        config.lengths.warmup,
        config.lengths.rewarmup,
        run.share(config.roles.general),
    )


def is_of(run: Run, scenario: Scenario) -> bool:
    """Whether a run has the LRs of a scenario, but for rounding."""
    if scenario.misfit or len(scenario.lr) != run.steps:
        return False
    return np.allclose(scenario.lr, run.lr, rtol=0, atol=SAME * float(np.max(run.lr)))
