"""Recommendations of fitted laws for the knobs of CPT (Eq. 5 of arXiv 2505.07796), as runs that try them.

Of each knob a small grid of values is trained, which no fit of that knob reads. A law fitted to the other runs
recommends a value within the range of the grid; it is trained, too (the figure `recommendations` compares both).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field, JsonValue

from cpt_dynamics.config import Config, Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, SIGNS, Joint, fitted
from cpt_dynamics.figures.kit.result import JointFit, Part
from cpt_dynamics.laws import Array, get
from cpt_dynamics.planning import ROLES, Pair, Scan, Scenario
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


class Goal(Part):
    """Losses at the end of CPT and the goal that they make, w1*general + (1 - w1)*strong (nats/token)."""

    general: float
    strong: float
    goal: float


class Choice(Part):
    """What is recommended for a weight."""

    weight: float = Field(description="w1, of the D_pt loss")
    value: float = Field(description="the best by the losses at the end of CPT, rounded")
    run: str = Field(description="the run that tries it")
    interior: bool = Field(description="whether it lies inside of the range")
    by_change: float = Field(description="the best by the changes of the losses, as Eq. 5 is printed")
    predicted: Goal


class PredictedLosses(Part):
    """Losses at the end of CPT that the laws predict (nats/token)."""

    values: list[float] = Field(description="of the knob, over the range of the grid")
    loss: dict[Role, list[float]]
    grid: dict[str, dict[Role, float]] = Field(description="by run of the grid")


class KnobBasis(Part):
    """What the recommendations for a knob rest on."""

    fitted: list[str] = Field(description="runs that the fits read, none of them of the grid")
    left_out: list[str] = Field(description="runs of the figure's list that they do not read")
    unit: str
    laws: dict[Role, str]
    scanned: tuple[float, float] = Field(description="the range of the search, which is that of the grid")
    predicted: PredictedLosses
    fits: dict[Role, JointFit]
    runs: dict[str, JsonValue] = Field(description="run -> its entry as experiments.yaml would state it")


class KnobPlan(KnobBasis):
    """The trained grid of a knob, run -> value, and what is recommended for every weight."""

    grid: dict[str, float]
    recommendations: list[Choice]


class RecommendationPlan(Part):
    """What is recommended, in the form of results/<scale>/recommended/plan.json."""

    figure: str
    measure: str
    weights: list[float]
    knobs: dict[str, KnobPlan]


def recommend(
    curves: pd.DataFrame, schedules: pd.DataFrame, config: Config, experiments: Experiments
) -> dict[str, Any]:
    """For each knob the fits, the recommended value for every weight, and the runs that try them.

    Returns a `RecommendationPlan` as JSON.
    """
    entry = selection.entry(experiments, "recommendations")
    grids = {knob: grid_of(knob, entry.heldout, config, experiments) for knob in TRIALS}
    used = {knob: to_fit(knob, entry.runs, grid, experiments) for knob, grid in grids.items()}
    fits: dict[tuple[str, ...], Joint] = {}  # two knobs may ask for the same one
    knobs = {}
    for knob, trial in TRIALS.items():
        for role, law in trial.laws.items():
            key = (role, law, *used[knob])
            if key not in fits:
                fits[key] = _fit(law, role, used[knob], curves, schedules, config, experiments)
        chosen = {role: fits[(role, law, *used[knob])] for role, law in trial.laws.items()}
        left_out = [run for run in entry.runs if run not in used[knob]]
        knobs[knob] = _by_laws(knob, chosen, grids[knob], used[knob], left_out, config)
    plan = RecommendationPlan(figure="recommendations", measure="final", weights=WEIGHTS, knobs=knobs)
    return plan.model_dump(mode="json", by_alias=True)


def _by_laws(
    knob: str,
    fits: Mapping[Role, Joint],
    grid: Mapping[str, float],
    fitted: list[str],
    left_out: list[str],
    config: Config,
) -> KnobPlan:
    """What the laws of both losses recommend for a knob within the range of its grid."""
    pair = Pair(*(fits[role].fit for role in SETS))
    low, high = min(grid.values()), max(grid.values())
    found = over(knob, pair, np.linspace(low, high, STEPS + 1), config)
    on_grid = _losses(over(knob, pair, grid.values(), config))
    chosen = [_choose(knob, weight, found, pair, config) for weight in WEIGHTS]
    return KnobPlan(
        fitted=fitted,
        left_out=left_out,
        unit=TRIALS[knob].unit,
        laws=TRIALS[knob].laws,
        grid=grid,
        scanned=(low, high),
        predicted=PredictedLosses(
            values=found.values,
            loss=_losses(found),
            grid={run: {role: losses[i] for role, losses in on_grid.items()} for i, run in enumerate(grid)},
        ),
        fits={role: one.result() for role, one in fits.items()},
        recommendations=chosen,
        runs={one.run: run_entry(knob, one.value) for one in chosen},
    )


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
        value = tried(knob, experiments.runs[name], config)
        if value is not None:
            found[name] = value
    if len(set(found.values())) < 2:
        raise UserError(
            f"{config.stated_in}: recommendations has fewer than two values of {knob} among its held-out runs:"
            " add runs that differ in it alone"
        )
    return dict(sorted(found.items(), key=lambda item: item[1]))


def tried(knob: str, run: Run, config: Config) -> float | None:
    """The value of the knob that a run tries; None if it is another run than that value gives.

    All LRs and the text of both phases must be those of the trial at that value.
    """
    peak = config.optimizer.peak_lr
    before = selection.transfer_step(run)
    if before in (0, run.steps) or run.seed != config.seed or run.model != next(iter(config.models)):
        return None
    replay = dict(run.phases[-1].mixture).get(config.roles.general, 0.0)
    known = {
        # Without a re-warm-up no step of CPT has its peak, which is the LR of the checkpoint.
        "peak_lr": float(run.lr[before - 1 :].max()) / peak,
        "potential": float(run.lr[before - 1]) / peak,
        "replay": replay,
    }
    value = float(round(known[knob], 9))
    trial = scenario(knob, value, config).lr
    same = len(trial) == run.steps and np.allclose(trial, run.lr, rtol=1e-9, atol=0)
    wanted = {config.corpus_of(role): share for role, share in stated(knob, value)[2].items() if share > 0}
    read = {name: round(share, 9) for name, share in run.phases[-1].mixture}
    return value if same and read == wanted else None


def to_fit(knob: str, runs: list[str], grid: Mapping[str, float], experiments: Experiments) -> list[str]:
    """The runs that a knob's laws are fitted to, none of them of its grid.

    peak_lr, potential (Eq. 4): all PT, and CPT without replay. replay (Eq. 8): all PT, and CPT at every ratio but
    for what starts from the checkpoint of the grid, of which only the pre-training is fitted.
    """
    if knob != "replay":
        return [run for run in runs if run not in grid and not _replays(experiments.runs[run])]
    checkpoints = {_checkpoint(experiments.runs[run]) for run in grid}
    return [
        run
        for run in runs
        if run not in grid
        and (not selection.transfers(experiments, [run]) or _checkpoint(experiments.runs[run]) not in checkpoints)
    ]


def _replays(run: Run) -> bool:
    """Whether the CPT of a run reads anything of the corpus of its PT."""
    return run.phases[-1].phase == "continual" and run.phases[0].mixture[0][0] in dict(run.phases[-1].mixture)


def _checkpoint(run: Run) -> bytes:
    """What tells the checkpoint that CPT starts from: the LR of every step before."""
    return run.lr[: selection.transfer_step(run)].tobytes()


def _fit(
    law: str,
    role: str,
    runs: list[str],
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
) -> Joint:
    """A law of the replay ratio or without it, fitted for the loss of `role`."""
    features = selection.with_areas(selection.of_runs(curves, runs), schedules, config)
    features = selection.with_replay(features, experiments, config)
    return fitted(features, schedules, config, runs, role, get(law, SIGNS[role]))


def over(knob: str, pair: Pair, values: Iterable[float], config: Config) -> Scan:
    """Losses predicted at values of a knob, which are in the units of `TRIALS`."""
    chosen = [float(value) for value in values]
    outcomes = [scenario(knob, value, config).outcome(pair.roles()) for value in chosen]
    before, after = ({role: np.array([o[role][end] for o in outcomes]) for role in ROLES} for end in (0, 1))
    return Scan(knob, np.array(chosen), before, after)


def _losses(found: Scan) -> dict[Role, Array]:
    """Losses at the end of CPT, [values]."""
    return dict(zip(SETS, (found.after[role] for role in ROLES), strict=True))


def _choose(knob: str, weight: float, found: Scan, pair: Pair, config: Config) -> Choice:
    """The value recommended for a weight, with what the laws predict for it."""
    best = found.best(weight, "final")
    value = round(best.value, DIGITS)
    loss = {role: float(losses[0]) for role, losses in _losses(over(knob, pair, [value], config)).items()}
    return Choice(
        weight=weight,
        value=value,
        run=run_name(knob, value),
        interior=best.interior,
        by_change=round(found.best(weight, "change").value, DIGITS),
        predicted=Goal(general=loss[Role.GENERAL], strong=loss[Role.STRONG], goal=goal(weight, loss)),
    )
