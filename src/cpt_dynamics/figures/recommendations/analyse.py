"""The regret of what fitted laws recommend for the knobs of CPT (Eq. 5 of arXiv 2505.07796), when it is trained."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pydantic import ValidationError

from cpt_dynamics.config import Config, Role, explain
from cpt_dynamics.curves import trials
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS
from cpt_dynamics.figures.kit.recommendations import Choice, KnobPlan, RecommendationPlan
from cpt_dynamics.figures.recommendations.result import BestOfGrid, GridPoint, Knob, Regret, Result, Trained
from cpt_dynamics.figures.seeds.result import Result as Seeds
from cpt_dynamics.files import read_json
from cpt_dynamics.planning.recommendations import TRIALS, goal

Noise = dict[Role, float | None]


def analyse(data: FigureData) -> Result:
    """Each recommendation beside the grid; plan and curves of its runs are in results/<scale>/recommended."""
    config, plan = data.config, _read_plan(data.config)
    seeds = data.optional(Seeds)
    noise: Noise = {role: seeds.noise[role] if seeds else None for role in SETS}
    knobs = {knob: _trained(plan.knobs[knob], data.curves, trials.read(config, knob), config, noise) for knob in TRIALS}
    return Result(
        figure="recommendations",
        title=data.entry.title,
        validations=selection.roles(config),
        lambda_=config.law.lambda_,
        carry_over=config.law.carry_over,
        first_step=config.law.first_step,
        measure=plan.measure,
        weights=plan.weights,
        noise=noise,
        knobs=knobs,
        regret=_regret([one for found in knobs.values() for one in found.recommendations]),
    )


def _read_plan(config: Config) -> RecommendationPlan:
    path = trials.plan_path(config)
    try:
        return RecommendationPlan.model_validate(read_json(path))
    except ValidationError as error:
        first = explain(error.errors()[0], str(path))
        raise UserError(f"{first} (write it with `cpt-dynamics trial-plan`)") from None


def _trained(plan: KnobPlan, curves: pd.DataFrame, table: pd.DataFrame, config: Config, noise: Noise) -> Knob:
    """The plan of one knob with what its grid and its recommended runs reached; table: curves of the latter."""
    grid = [
        GridPoint(run=run, value=value, loss=_final(curves, run, config), predicted=plan.predicted.grid[run])
        for run, value in plan.grid.items()
    ]
    results = [_outcome(one, grid, _final(table, one.run, config), noise) for one in plan.recommendations]
    return Knob(**{**dict(plan), "grid": grid, "recommendations": results})


def _outcome(one: Choice, grid: list[GridPoint], loss: dict[Role, float], noise: Noise) -> Trained:
    goals = {point.run: goal(one.weight, point.loss) for point in grid}
    best = min(grid, key=lambda point: goals[point.run])
    regret = goal(one.weight, loss) - goals[best.run]
    scale = _goal_noise(one.weight, noise)
    return Trained(
        **dict(one),
        loss=loss,
        goal=goal(one.weight, loss),
        grid=goals,
        best_of_grid=BestOfGrid(run=best.run, value=best.value, goal=goals[best.run]),
        regret=regret,
        regret_over_noise=regret / scale if scale else None,
        in_grid=one.value in [point.value for point in grid],
    )


def _final(curves: pd.DataFrame, run: str, config: Config) -> dict[Role, float]:
    """Losses at the last step of a run (nats/token)."""
    result = {}
    for role, validation in selection.roles(config).items():
        rows = selection.of_runs(curves, [run])
        rows = rows[rows["validation"] == validation]
        if not len(rows):
            raise UserError(f"run {run!r} has no losses on the validation set {validation!r}: evaluate it")
        result[role] = float(rows.sort_values("step")["loss"].iloc[-1])
    return result


def _goal_noise(weight: float, noise: Mapping[Role, float | None]) -> float | None:
    """Standard deviation of the goal over seeds."""
    general, strong = noise[Role.GENERAL], noise[Role.STRONG]
    if general is None or strong is None:
        return None
    return float(np.hypot(weight * general, (1 - weight) * strong))


def _regret(found: list[Trained]) -> Regret:
    regrets = [one.regret for one in found]
    new = [one.regret for one in found if not one.in_grid]
    over_noise = [one.regret_over_noise for one in found if one.regret_over_noise is not None]
    known = len(over_noise) == len(found)
    return Regret(
        mean=float(np.mean(regrets)),
        worst=max(regrets),
        better_or_equal=sum(regret <= 0 for regret in regrets),
        n=len(found),
        new=len(new),
        mean_new=float(np.mean(new)) if new else None,
        mean_over_noise=float(np.mean(over_noise)) if known else None,
        worst_over_noise=max(over_noise) if known else None,
    )
