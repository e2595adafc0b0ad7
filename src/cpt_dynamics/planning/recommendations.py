"""The runs that try a value of a knob of CPT (Eq. 5 of arXiv 2505.07796): peak LR, replay ratio or loss potential."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cpt_dynamics.config import Config, Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.planning.optimum import Scan
from cpt_dynamics.planning.scenario import ROLES, Pair, Scenario
from cpt_dynamics.schedules import Schedule

WEIGHTS = (0.25, 0.5, 0.75)  # w1, of the D_pt loss
STEPS = 90  # into which the range of a grid is divided for the search
DIGITS = 3  # of a recommended value, so that the name of its run does not change with the last digits of a fit
CPT = {Role.GENERAL: "cpt", Role.STRONG: "cpt"}
REPLAY = {Role.GENERAL: "cpt_replay_general_convex", Role.STRONG: "cpt_replay_domain_saturating"}


@dataclass(frozen=True)
class Trial:
    """What is trained to try a value of a knob: schedules of PT and of CPT, and the laws that recommend by role."""

    pretraining: Mapping[str, Any]
    continual: Mapping[str, Any]
    laws: Mapping[Role, str]
    unit: str


TRIALS = {
    "peak_lr": Trial(
        {"shape": "wsd", "end": 0.1}, {"shape": "cosine", "peak": 1.0}, CPT, "peak LR of CPT over that of PT"
    ),
    "replay": Trial(
        {"shape": "cosine", "end": 0.1}, {"shape": "cosine", "peak": 1.0, "end": 0.1}, REPLAY, "share of D_pt in CPT"
    ),
    "potential": Trial(
        {"shape": "wsd", "end": 1.0}, {"shape": "linear", "peak": "last"}, CPT, "last LR of PT over its peak"
    ),
}


def goal(weight: float, loss: Mapping[Role, float]) -> float:
    """w1*(D_pt loss) + (1 - w1)*(D_cpt loss), nats/token (Eq. 5)."""
    return weight * loss[Role.GENERAL] + (1 - weight) * loss[Role.STRONG]


def stated(knob: str, value: float) -> tuple[dict[str, Any], dict[str, Any], dict[str, float]]:
    """Schedules of PT and of CPT and the text of CPT at a value, in the units of `TRIALS`."""
    pretraining, continual = dict(TRIALS[knob].pretraining), dict(TRIALS[knob].continual)
    data = {"strong": 1.0}
    if knob == "potential":
        pretraining["end"] = value
    elif knob == "peak_lr":
        continual["peak"] = value
    else:
        data = {"general": value, "strong": round(1 - value, 9)}
    return pretraining, continual, data


def scenario(knob: str, value: float, config: Config) -> Scenario:
    """The PT and the CPT that try a value."""
    pretraining, continual, data = stated(knob, value)
    lengths = config.lengths
    return Scenario(
        pretraining=Schedule.model_validate(pretraining),
        pretraining_steps=lengths.pretraining,
        continual=Schedule.model_validate(continual),
        continual_steps=lengths.continual,
        peak_lr=config.optimizer.peak_lr,
        warmup=lengths.warmup,
        rewarmup=lengths.rewarmup,
        replay=data.get("general", 0.0),
    )


def run_entry(knob: str, value: float) -> dict[str, Any]:
    """The run that tries a value, as experiments.yaml would state it."""
    pretraining, continual, data = stated(knob, value)
    return {
        "phases": [
            {"phase": "pretraining", "data": {"general": 1.0}, "steps": "pretraining", "schedule": pretraining},
            {"phase": "continual", "data": data, "steps": "continual", "schedule": continual},
        ]
    }


def run_name(knob: str, value: float) -> str:
    """Name of the run that tries a value: the knob and the value in thousandths."""
    return f"recommended_{knob}_{round(value * 10**DIGITS)}"


def grid_of(knob: str, runs: list[str], config: Config, experiments: Experiments) -> dict[str, float]:
    """Those of the runs that try a value of the knob, with that value, ascending."""
    found = {}
    for name in runs:
        value = tried(knob, experiments.runs[name], config, experiments)
        if value is not None:
            found[name] = value
    if len(set(found.values())) < 2:
        raise UserError(
            f"{config.stated_in}: recommendations has fewer than two values of {knob} among its held-out runs:"
            " add runs that differ in it alone"
        )
    return dict(sorted(found.items(), key=lambda item: item[1]))


def tried(knob: str, run: Run, config: Config, experiments: Experiments) -> float | None:
    """The value of the knob that a run tries; None if it is another run than that value gives.

    The LR and the text of both phases must be those of the trial at that value.
    """
    if [phase.phase for phase in run.phases] != ["pretraining", "continual"]:
        return None
    known = {
        "peak_lr": run.phases[1].peak,
        "potential": float(run.phases[0].lr[-1]) / config.optimizer.peak_lr,
        "replay": run.share(config.roles.general),
    }
    value = round(known[knob], 9)
    trial = experiments.extended({"trial": run_entry(knob, value)}, config).runs["trial"]
    agree = (trial.model, trial.seed, trial.steps) == (run.model, run.seed, run.steps) and trial.has_lr_of(run)
    return value if agree and [phase.data for phase in trial.phases] == [phase.data for phase in run.phases] else None


def over(knob: str, pair: Pair, values: Iterable[float], config: Config) -> Scan:
    """Losses predicted at values of a knob, which are in the units of `TRIALS`."""
    chosen = [float(value) for value in values]
    outcomes = [scenario(knob, value, config).outcome(pair.roles()) for value in chosen]
    before, after = ({role: np.array([o[role][end] for o in outcomes]) for role in ROLES} for end in (0, 1))
    return Scan(knob, np.array(chosen), before, after)
