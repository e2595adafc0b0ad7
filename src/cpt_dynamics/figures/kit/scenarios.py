"""The scenario that a run of the experiments is."""

import numpy as np

from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Run
from cpt_dynamics.planning import Scenario

SAME = 1e-6  # of the peak LR: LRs that differ by less are the same


def scenario_of(run: Run, config: Config) -> Scenario | None:
    """PT and CPT of a run as schedules; None where it is not one PT and one CPT of a schedule each."""
    schedules = [phase.own_schedule for phase in run.phases]
    if [phase.phase for phase in run.phases] != ["pretraining", "continual"] or None in schedules:
        return None
    before, after = schedules
    assert before is not None
    assert after is not None
    return Scenario(
        before,
        run.transfer_step,
        after,
        run.steps - run.transfer_step,
        config.optimizer.peak_lr,
        config.lengths.warmup,
        config.lengths.rewarmup,
        run.share(config.roles.general),
    )


def is_of(run: Run, scenario: Scenario) -> bool:
    """Whether a run has the LRs of a scenario, but for rounding."""
    if scenario.misfit or run.steps != len(scenario.lr):
        return False
    return bool(np.allclose(scenario.lr, run.lr, rtol=0, atol=SAME * float(np.max(run.lr))))
