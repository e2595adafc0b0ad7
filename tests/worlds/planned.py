"""Curves of all runs of a scale with planned contrasts, made from Eq. 4 and Eq. 8 instead of training."""

import dataclasses
import zlib
from functools import lru_cache

import numpy as np
import pandas as pd

from cpt_dynamics import config as configs
from cpt_dynamics import experiments as runs_
from cpt_dynamics.areas import areas
from cpt_dynamics.config import Config, Role
from cpt_dynamics.experiments import Experiments, Run
from cpt_dynamics.laws import get
from worlds import REPOSITORY
from worlds.curves import curves_of
from worlds.runs import TRUE

PARAMS = {
    **{"main": 803_968, "third": 332_448, "triple": 2_656_704},
    **{"small": 100_672, "medium": 331_872, "large": 803_712},
}
SHARE = {
    "plantsci": 0.2,
    "canada_law": 0.6,
    "kindred": 0.2,
    "mathematics": 0.6,
}  # of the shift on D_pt where CPT is on them
GROWTH = {Role.GENERAL: 1.5, Role.STRONG: 2.0}  # a2 of Eq. 8, growths exchanged
SCRATCH = {Role.GENERAL: 1.45, Role.STRONG: -1.75, Role.WEAK: 0.5}  # of L0 where a model starts on D_cpt
OUT_OF_DOMAIN = (0.7, 0.3, 0.4)  # weights of both losses, and a constant
SETS = 2  # out-of-domain sets that are kept
OFFSET, OWN = 0.02, 0.003  # nats: common offset of a further seed, and deviation of its runs around that


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
    found["L0"] += 4.0 * (PARAMS[run.model] ** -0.19 - PARAMS[next(iter(config.models))] ** -0.19)
    return found


def losses(run: Run, config: Config) -> dict[str, np.ndarray]:
    """Corpus -> loss after every step. Seeds after the first have an offset, in CPT a run has one of its own, too."""
    found = dataclasses.asdict(areas(run.lr, run.transfer_step, config.law.lambda_))
    roles = (Role.GENERAL, Role.STRONG, Role.WEAK)
    made = {config.corpus_of(r): np.asarray(get("cpt").predict(true(run, r, config), found)) for r in roles}
    if run.repeat > 1:
        drawn = np.random.default_rng(zlib.crc32(run.name.encode())).normal(0, OWN, len(made))
        after = np.arange(1, run.steps + 1) > run.transfer_step
        for own, loss in zip(drawn, made.values(), strict=True):
            loss += OFFSET * (run.repeat - 1) + own * after
    w1, w2, constant = OUT_OF_DOMAIN
    other = w1 * made[config.roles.general] + w2 * made[config.roles.strong] + constant
    return dict.fromkeys(config.roles.out_of_domain, other) | made


def steps(run: Run, every: int, transfers: frozenset[int]) -> list[int]:
    """Steps with a loss: every so manieth of a phase, its ends, transfers, and powers of 4 after each change."""
    starts = [first - 1 for first, _ in run.stretches]
    kept = {run.steps, *transfers}
    for start, end in zip(starts, [*starts[1:], run.steps], strict=True):
        kept |= {start + 4**k for k in range(4)} | set(range(start + every, end, every)) | {end}
    return sorted(step for step in kept if 0 < step <= run.steps)


@lru_cache(maxsize=2)
def made(scale: str = "prose") -> tuple[pd.DataFrame, pd.DataFrame, Config, Experiments]:
    """Curves and schedules of all runs; the first seed follows the laws exactly."""
    config = configs.load([REPOSITORY / f"config/scales/{scale}.yaml"])
    sets = [name for name in config.roles.out_of_domain if name != config.roles.weak][:SETS]
    few = config.roles.model_copy(update={"out_of_domain": sets})
    config = config.model_copy(
        update={"roles": few, "experiments": [str(REPOSITORY / name) for name in config.experiments]}
    )
    experiments = runs_.load(config)
    every = (config.lengths.pretraining + config.lengths.continual) // 30
    transfers = frozenset(run.transfer_step for run in experiments.runs.values())
    curves, schedules = curves_of(
        experiments.runs.values(),
        lambda run: steps(run, every, transfers),
        lambda run: losses(run, config),
        PARAMS,
        float(config.batch.sequences * config.batch.length),
    )
    return curves, schedules, config, experiments
