"""Curves of all runs of config/experiments.yaml at the default scale, made from known laws instead of training."""

import dataclasses
from functools import lru_cache

import numpy as np
import pandas as pd

from cpt_dynamics import config as configs
from cpt_dynamics.areas import areas
from cpt_dynamics.config import Config
from cpt_dynamics.experiments import runs as experiments_
from cpt_dynamics.experiments.runs import Experiments, Run, steps_to_evaluate
from cpt_dynamics.laws import get
from worlds.curves import curves_of

PARAMS = {"small": 100_672, "medium": 331_872, "large": 803_712}
TRUE = {
    "general": {"L0": 2.6, "A": 0.9, "alpha": 0.5, "C1": 0.15, "C2": 0.17, "B": 1.6, "E": 20.0, "beta": 0.35},
    "strong": {"L0": 3.0, "A": 1.2, "alpha": 0.4, "C1": 0.12, "C2": 0.18, "B": -1.9, "E": 60.0, "beta": 0.3},
    "weak": {"L0": 3.2, "A": 1.0, "alpha": 0.45, "C1": 0.1, "C2": 0.16, "B": -1.0, "E": 40.0, "beta": 0.3},
}
WEAK = 0.3  # of the shift on D_pt where CPT is on the weak domain
OUT_OF_DOMAIN = {  # weights of the losses on D_pt and D_cpt
    "science": (0.8, 0.2),
    "comments": (0.7, 0.3),
    "tests": (0.2, 0.9),
    "stubs": (0.3, 0.8),
    "descriptions": (1.1, -0.1),
    "licences": (1.2, -0.1),
}


def loss(run: Run, role: str, config: Config) -> np.ndarray:
    """Loss of a run after every step, by Eq. 4 with a shift that replay and the domain scale, and a size term."""
    before = run.transfer_step
    found = dataclasses.asdict(areas(run.lr, before, config.law.lambda_))
    mixture = dict(run.phases[-1].mixture)
    true = dict(TRUE[role])
    replay = mixture.get(config.roles.general, 0.0) if before < run.steps else 1.0
    share = 1 - replay
    if config.roles.weak in mixture and role == "general":
        share *= WEAK
    if role != "general" and mixture.get(config.corpus_of(role), 0.0) == 0.0:
        share *= 0.2  # the other domain's loss falls, too, but less
    if run.phases[0].mixture[0][0] != config.roles.general:
        true["L0"] += {"general": 1.6, "strong": -1.0, "weak": 1.0}[role]
        share = 0.0
    true["B"] *= share
    true["L0"] += 4.0 * (PARAMS[run.model] ** -0.19 - PARAMS["small"] ** -0.19)
    return np.asarray(get("cpt").predict(true, found))


@lru_cache(maxsize=4)
def made(noise: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame, Config, Experiments]:
    """Curves and schedules of all runs, evaluated as the configuration says, with noise (nats) that seeds change."""
    config = configs.load([])
    experiments = experiments_.load(config)

    def losses(run: Run) -> dict[str, np.ndarray]:
        found = {config.corpus_of(role): loss(run, role, config) for role in TRUE}
        general, strong = found[config.roles.general], found[config.roles.strong]
        return found | {name: w1 * general + w2 * strong for name, (w1, w2) in OUT_OF_DOMAIN.items()}

    curves, schedules = curves_of(
        experiments.runs.values(), lambda run: steps_to_evaluate(run, config), losses, PARAMS, 1280.0, noise
    )
    return curves, schedules, config, experiments
