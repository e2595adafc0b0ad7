"""Seed noise of final losses, with and without the common offset of each seed."""

import numpy as np

from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts.known import SEEDS, Known, Undefined, of_seed
from cpt_dynamics.figures.contrasts.result import SeedNoise


def seed_noise(known: Known, role: Role) -> SeedNoise:
    """From every CPT run of the first model size whose seeds are all there."""
    groups = [run for run in known.data.entry.runs + known.data.entry.heldout if _repeated(known, run)]
    if not groups:
        return SeedNoise(groups=[], noise=None, relative=None, without_offset=None)
    final = np.array([[known.final(of_seed(run, seed), role) for seed in SEEDS] for run in groups])
    means = final.mean(axis=1, keepdims=True)
    left = final - means
    left = left - left.mean(axis=0)  # a seed's offset is what all of its runs share
    freedom = (len(groups) - 1) * (len(SEEDS) - 1)
    return SeedNoise(
        groups=groups,
        noise=_pooled(final),
        relative=_pooled(final / means),
        without_offset=float(np.sqrt(np.sum(left**2) / freedom)) if freedom else None,
    )


def _repeated(known: Known, name: str) -> bool:
    run = known.run(name)
    return run.continual and run.name == run.base and not known.without_seed(name)


def _pooled(final: np.ndarray) -> float:
    """The root of the mean variance, with n-1 of n seeds; final: [runs, seeds]."""
    return float(np.sqrt(np.mean(np.var(final, axis=1, ddof=1))))


def defined(value: float | None) -> float:
    """A kind of noise, which some effects are in units of; raises `Undefined` where too few runs have all seeds."""
    if value is None:
        raise Undefined("seed noise is not known: too few CPT runs have all seeds")
    return value
