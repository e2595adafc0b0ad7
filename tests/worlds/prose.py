"""Curves of all runs of config/experiments-prose.yaml, made from Eq. 4 and Eq. 8 instead of training."""

import dataclasses
from functools import lru_cache

import numpy as np
import pandas as pd

from cpt_dynamics import config as configs
from cpt_dynamics import experiments as runs_
from cpt_dynamics.areas import areas
from cpt_dynamics.config import Config, Role
from cpt_dynamics.experiments import Experiments, Run
from cpt_dynamics.laws import get
from worlds.curves import curves_of
from worlds.runs import TRUE

PARAMS = {"main": 803_968, "third": 332_448, "triple": 2_656_704}
SHARE = {"plantsci": 0.2, "canada_law": 0.6}  # of the shift on D_pt where CPT is on them
GROWTH = {Role.GENERAL: 1.5, Role.STRONG: 2.0}  # a2 of Eq. 8, growths exchanged
SCRATCH = {Role.GENERAL: 1.45, Role.STRONG: -1.75, Role.WEAK: 0.5}  # of L0 where a model starts on D_cpt
OUT_OF_DOMAIN = (0.7, 0.3, 0.4)  # weights of both losses, and a constant


def grown(role: Role, share: float) -> float:
    """The shift at a share of D_cpt, over that without replay."""
    a2 = GROWTH[role]
    sign = 1 if role == Role.GENERAL else -1
    return float(np.expm1(sign * a2 * share) / np.expm1(sign * a2))


def true(run: Run, role: Role, config: Config) -> dict[str, float]:
    """The coefficients of Eq. 4 for a run."""
    found = dict(TRUE[role])
    mixture = dict(run.phases[-1].mixture) if run.continual else {config.roles.general: 1.0}
    domain = next((name for name in mixture if name != config.roles.general), None)
    share = 1 - mixture.get(config.roles.general, 0.0)
    found["B"] *= grown(role, share) if role in GROWTH else share
    if role == Role.GENERAL:
        found["B"] *= SHARE.get(domain or "", 1.0)
    elif domain != config.corpus_of(role):
        found["B"] *= 0.2  # the other domains' losses fall, too, but less
    if run.phases[0].mixture[0][0] != config.roles.general:
        found |= {"B": 0.0, "L0": found["L0"] + SCRATCH[role]}
    found["L0"] += 4.0 * (PARAMS[run.model] ** -0.19 - PARAMS["main"] ** -0.19)
    return found


def losses(run: Run, config: Config) -> dict[str, np.ndarray]:
    """Corpus -> loss after every step."""
    found = dataclasses.asdict(areas(run.lr, run.transfer_step, config.law.lambda_))
    roles = (Role.GENERAL, Role.STRONG, Role.WEAK)
    made = {config.corpus_of(r): np.asarray(get("cpt").predict(true(run, r, config), found)) for r in roles}
    w1, w2, constant = OUT_OF_DOMAIN
    general, strong = made[config.roles.general], made[config.roles.strong]
    return made | {name: w1 * general + w2 * strong + constant for name in config.roles.out_of_domain}


def steps(run: Run) -> list[int]:
    """Steps with a loss: every 300th of a phase, its ends, and powers of 4 after each change."""
    starts = [first - 1 for first, _ in run.stretches]
    ends = [*starts[1:], run.steps]
    kept = {0}
    for start, end in zip(starts, ends, strict=True):
        kept |= {start + 4**k for k in range(4)} | set(range(start + 300, end, 300)) | {end}
    return sorted(step for step in kept if 0 < step <= run.steps)


@lru_cache(maxsize=2)
def made(noise: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame, Config, Experiments]:
    """Curves and schedules of all runs, with noise (nats) that seeds change."""
    config = configs.load(["config/scales/prose.yaml"])
    experiments = runs_.load(config)
    curves, schedules = curves_of(
        experiments.runs.values(), steps, lambda run: losses(run, config), PARAMS, 2048.0, noise
    )
    return curves, schedules, config, experiments
