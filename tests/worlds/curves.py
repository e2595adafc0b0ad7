"""The maker of curves: losses of a known law along runs or learning rates, with or without noise."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.areas import areas_of, history
from cpt_dynamics.experiments.runs import Phase, Run
from cpt_dynamics.laws import Law, get

AREAS = ("s1pt", "s2pt", "s1cpt", "s2cpt")
Curves = tuple[pd.DataFrame, pd.DataFrame]  # losses and schedules


def losses(law: Law | str, point: Mapping[str, float], features: Any, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Losses of a law, with a relative noise of its own for every row."""
    exact = np.asarray((get(law) if isinstance(law, str) else law).predict(point, features))
    return exact * np.exp(np.random.default_rng(seed).normal(0, noise, len(exact)))


def areas_at(
    lr: np.ndarray, before: int, steps: Any, lambda_: float = 0.999, lr_power: float = 0.0, **past: Any
) -> dict[str, np.ndarray]:
    """Areas after `steps` (counted from 1) of a run whose pre-training has `before` steps."""
    found = areas_of(history(lr, before, **past), lambda_, lr_power=lr_power)
    return {name: getattr(found, name)[np.asarray(steps) - 1] for name in AREAS}


def schedule(name: str, lr: Any, before: int | None = None) -> pd.DataFrame:
    """The schedule table of a run; all of it is pre-training if `before` is not given."""
    step = np.arange(1, len(lr) + 1)
    phase = np.where(step <= (len(lr) if before is None else before), "pretraining", "continual")
    return pd.DataFrame({"run": name, "step": step, "phase": phase, "lr": np.asarray(lr, dtype=float)})


def curve(
    plan: pd.DataFrame, steps: Any, validation: str, loss: np.ndarray, tokens: float, **about: Any
) -> pd.DataFrame:
    """The losses of a run at `steps` on one corpus; `tokens` are those of a step, `loss` has a value a step kept."""
    kept = plan.iloc[np.asarray(steps) - 1]
    before = int((plan["phase"] == "pretraining").sum())
    step = kept["step"].to_numpy()
    columns = {
        "run": kept["run"].to_numpy(),
        **about,
        "step": step,
        "phase": kept["phase"].to_numpy(),
        "phase_step": np.where(step <= before, step, step - before),
        "lr": kept["lr"].to_numpy(),
        "tokens": step * tokens,
        "validation": validation,
        "loss": loss,
        "bits_per_byte": np.nan,
    }
    return pd.DataFrame(columns)


def curves_of(
    runs: Iterable[Run],
    steps: Callable[[Run], Iterable[int]],
    loss: Callable[[Run], Mapping[str, np.ndarray]],
    params: Mapping[str, int],
    tokens: float,
    noise: float = 0.0,
    apart: Callable[[Run, Phase], str] = lambda run, phase: f"{run.seed}{phase.data}",
) -> Curves:
    """Curves and schedules of runs.

    `steps` are those with a loss, `loss` has the losses after every step for each corpus, `params` the parameters of
    each model, `tokens` are those of a step. The noise (nats) of a step depends on the learning rates so far, the
    corpus and what `apart` says, so that it is the same in the steps that runs share.
    """
    tables, plans = [], []
    for run in runs:
        plans.append(schedule(run.name, run.lr, run.transfer_step))
        kept = np.unique([*steps(run)])
        about = {"seed": run.seed, "model": run.model, "params": params[run.model]}
        for validation, exact in loss(run).items():
            shaken = exact[kept - 1]
            if noise:
                shaken = shaken + noise * np.array([_normal(run, int(step), validation, apart) for step in kept])
            tables.append(curve(plans[-1], kept, validation, shaken, tokens, **about))
    return pd.concat(tables, ignore_index=True), pd.concat(plans, ignore_index=True)


def _normal(run: Run, step: int, validation: str, apart: Callable[[Run, Phase], str]) -> float:
    """A standard normal number that depends on all that the training so far depends on."""
    phase, _ = run.at(step)
    key = hashlib.sha256(run.lr[:step].tobytes() + f"{apart(run, phase)}{step}{validation}".encode()).digest()
    return float(np.random.default_rng(int.from_bytes(key[:8], "little")).normal())
