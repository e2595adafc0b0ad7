"""Curves of all runs of config/experiments.yaml at the default scale, made from known laws instead of training."""

import dataclasses
import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics import config as configs
from cpt_dynamics.areas import areas
from cpt_dynamics.config import Config
from cpt_dynamics.experiments import runs as experiments_
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.laws import get

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
    from cpt_dynamics.experiments.runs import steps_to_evaluate

    config = configs.load([])
    experiments = experiments_.load(config)
    curves, plans = [], []
    for run in experiments.runs.values():
        before = run.transfer_step
        step = np.arange(1, run.steps + 1)
        phase = np.where(step <= before, "pretraining", "continual")
        phase_step = np.where(step <= before, step, step - before)
        plans.append(pd.DataFrame({"run": run.name, "step": step, "phase": phase, "lr": run.lr}))
        kept = np.array(sorted(steps_to_evaluate(run, config))) - 1
        losses = {config.corpus_of(role): loss(run, role, config) for role in TRUE}
        general, strong = losses[config.roles.general], losses[config.roles.strong]
        losses |= {name: w1 * general + w2 * strong for name, (w1, w2) in OUT_OF_DOMAIN.items()}
        for validation, values in losses.items():
            shaken = values[kept] + noise * np.array([_normal(run, int(i) + 1, validation) for i in kept])
            columns: dict[str, Any] = {
                "run": run.name,
                "seed": run.seed,
                "model": run.model,
                "params": PARAMS[run.model],
                "step": step[kept],
                "phase": phase[kept],
                "phase_step": phase_step[kept],
                "lr": run.lr[kept],
                "tokens": step[kept] * 1280.0,
                "validation": validation,
                "loss": shaken,
                "bits_per_byte": np.nan,
            }
            curves.append(pd.DataFrame(columns))
    return pd.concat(curves, ignore_index=True), pd.concat(plans, ignore_index=True), config, experiments


def _normal(run: Run, step: int, validation: str) -> float:
    """A standard normal number that depends on all that the training so far depends on."""
    phase, _ = run.at(step)
    key = hashlib.sha256(run.lr[:step].tobytes() + f"{run.seed}{phase.data}{step}{validation}".encode()).digest()
    return float(np.random.default_rng(int.from_bytes(key[:8], "little")).normal())
