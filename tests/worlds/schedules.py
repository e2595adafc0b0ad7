"""Runs of pre-training under four schedules, whose losses a law gives."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd

from cpt_dynamics import curves
from worlds.curves import losses

STEPS, PEAK = 1200, 1e-2
LR = {
    "constant": np.ones(STEPS),
    "cosine": (1 + np.cos(np.pi * np.arange(STEPS) / STEPS)) / 2,
    "wsd": np.interp(np.arange(STEPS), [0, 1000, STEPS], [1.0, 1.0, 0.0]),
    "drop": np.where(np.arange(STEPS) < 500, 1.0, 0.2),
}
SLOW, ALL = ("constant", "cosine"), ("constant", "cosine", "wsd", "drop")
NOISE = {"L0": 2.5, "A": 0.8, "alpha": 0.5, "K": 3.0, "c": 30.0}
EXCESS = {**NOISE, "M": 0.6}


def tables(names: tuple[str, ...], after: str = "", peak: float = PEAK) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows without losses, and schedules, of runs of pre-training; `after`: each goes on with this schedule of CPT."""
    parts, plans = [], []
    for name in names:
        lr = peak * np.concatenate([LR[name], LR[after][::2] if after else []])
        step = np.arange(1, len(lr) + 1)
        phase = np.where(step > STEPS, "continual", "pretraining")
        plan = pd.DataFrame({"run": f"{name}{peak:g}", "step": step, "phase": phase, "lr": lr})
        kept = plan[(step % 30 == 0) & (step >= 60)]
        more = {"seed": 1, "model": "main", "params": 1e5, "tokens": kept["step"] * 10.0, "validation": "text"}
        inside = kept["step"] - np.where(kept["phase"] == "continual", STEPS, 0)
        parts.append(kept.assign(phase_step=inside, bits_per_byte=1.0, **more))
        plans.append(plan)
    return pd.concat(parts, ignore_index=True), pd.concat(plans, ignore_index=True)


def features_of(
    law: str, truth: dict[str, float], names: tuple[str, ...], lambda_: float = 0.9
) -> Callable[[float], pd.DataFrame]:
    """The rows by lambda, with losses that a law gives at one lambda."""
    rows, plans = tables(names)
    known = curves.features(rows.assign(loss=1.0), plans, lambda_=lambda_)
    loss = losses(law, truth, known, 2e-4, 3)

    @cache
    def of(value: float) -> pd.DataFrame:
        return curves.features(rows.assign(loss=loss), plans, lambda_=value)

    return of
