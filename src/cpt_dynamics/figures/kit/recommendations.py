"""What fitted laws recommend for the knobs of CPT (Eq. 5 of arXiv 2505.07796), as runs that try it.

Of each knob a small grid of values is trained, which no fit of that knob reads. A law fitted to the other runs
recommends a value within the range of the grid; it is trained, too (the figure `recommendations` compares both).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field, JsonValue

from cpt_dynamics.config import Config, Role
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, SIGNS, Joint, fitted
from cpt_dynamics.figures.kit.result import JointFit, Part
from cpt_dynamics.laws import Array, get
from cpt_dynamics.planning import ROLES, Pair, Scan
from cpt_dynamics.planning.recommendations import (
    DIGITS,
    STEPS,
    TRIALS,
    WEIGHTS,
    goal,
    grid_of,
    over,
    run_entry,
    run_name,
)


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


def to_fit(knob: str, runs: list[str], grid: Mapping[str, float], experiments: Experiments) -> list[str]:
    """The runs that a knob's laws are fitted to, none of them of its grid.

    peak_lr, potential (Eq. 4): all PT, and CPT without replay. replay (Eq. 8): all PT, and CPT at every ratio but
    for what starts from the checkpoint of the grid, of which only the pre-training is fitted.
    """
    if knob != "replay":
        return [run for run in runs if run not in grid and not _replays(experiments.runs[run])]
    tried = [experiments.runs[name] for name in grid]
    checkpoints = {run.pieces(run.transfer_step) for run in tried}
    others = [experiments.runs[name] for name in runs if name not in grid]
    return [run.name for run in others if not run.continual or run.pieces(run.transfer_step) not in checkpoints]


def _replays(run: Run) -> bool:
    """Whether the CPT of a run reads anything of the corpus of its PT."""
    return run.continual and run.share(run.phases[0].mixture[0][0]) > 0


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
