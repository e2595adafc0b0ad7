"""The scenario that a run of the experiments is, told by its LR."""

import numpy as np

from cpt_dynamics import schedules as lrs
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Run
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import Scenario
from cpt_dynamics.schedules import Schedule

SAME = 1e-6  # of the peak LR: LRs that differ by less are the same


def scenario_of(run: Run, config: Config) -> Scenario | None:
    """PT and CPT of a run as schedules; None where its LR is not that of one schedule each."""
    before = selection.transfer_step(run)
    pretraining = _schedule(run.lr[:before], config, config.lengths.warmup, None)
    continual = _schedule(run.lr[before:], config, config.lengths.rewarmup, float(run.lr[before - 1]))
    if pretraining is None or continual is None or [p.phase for p in run.phases].count("continual") != 1:
        return None
    return Scenario(
        pretraining,
        before,
        continual,
        run.steps - before,
        config.optimizer.peak_lr,
        config.lengths.warmup,
        config.lengths.rewarmup,
        dict(run.phases[-1].mixture).get(config.roles.general, 0.0),
    )


def is_of(run: Run, scenario: Scenario) -> bool:
    """Whether a run has the LRs of a scenario, but for rounding."""
    return not scenario.misfit and _same(scenario.lr, run.lr)


def _same(one: Array, other: Array) -> bool:
    return len(one) == len(other) and np.allclose(one, other, rtol=0, atol=SAME * float(np.max(other)))


def _schedule(lr: Array, config: Config, warmup: int, last: float | None) -> Schedule | None:
    """The schedule, with the default share and shape of a decay, that gives these LRs; None if there is none."""
    unit = config.optimizer.peak_lr
    end = float(np.clip(lr[-1] / unit, 0, 1))
    for shape in ("constant", "linear", "cosine", "wsd"):
        for peak in [*(["last"] if last is not None else []), *_peaks(shape, lr / unit)]:
            made = Schedule.model_validate({"shape": shape, "peak": peak, "end": end})
            try:
                tried = lrs.lr(made, len(lr), unit, warmup, last)
            except UserError:  # a decay or a warm-up that does not fit
                continue
            if _same(tried, lr):
                return made
    return None


def _peaks(shape: str, lr: Array) -> list[float]:
    """What the peak of a phase may be: its highest LR, or where a decay starts whose first step is the first LR."""
    found = [float(lr.max())]
    if shape in ("linear", "cosine"):
        left = float(lrs.DECAYS[shape](np.array([1 / len(lr)]), 1.0, 0.0)[0])
        found += [float(lr[-1] + (lr[0] - lr[-1]) / left)] if left > 0 else []
    return [round(peak, 9) for peak in found if peak > 0]
