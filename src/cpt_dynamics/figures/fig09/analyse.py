"""Loss on a set that rises and on one that falls during CPT, predicted by Eq. 6 (arXiv 2505.07796, Figure 9)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig09.result import Direction, Directions, Errors, Losses, Result, RunOfSet
from cpt_dynamics.figures.fig21.result import OutOfDomain
from cpt_dynamics.figures.fig21.result import Result as Fig21
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, Joint, joint
from cpt_dynamics.figures.kit.out_of_domain import combined, losses, mean_or_none
from cpt_dynamics.laws import Array

SHOWN = ("best", "median", "worst")


def analyse(data: FigureData) -> Result:
    """Eq. 6 on the extreme sets of Fig. 21: from measured losses, and from those of Eq. 4 fitted to the runs."""
    config, known = data.config, data.result(Fig21)
    runs = data.experiments.runs_of("fig09")
    curves, schedules = selection.of_runs(data.curves, runs), selection.of_runs(data.schedules, runs, "schedules")
    laws = {role: joint(curves, schedules, config, data.entry.runs, role) for role in SETS}

    def direction(name: str | None) -> Direction | None:
        if name is None:
            return None
        _, rows = losses(curves, config, data.entry, data.experiments, name)
        found = known.sets[name]
        return _direction(name, found, rows.assign(law=_by_law(rows, data, laws, found)))

    rising, falling = map(direction, extremes(known.sets))
    return Result(
        figure="fig09",
        title=data.entry.title,
        fitted_runs=known.fitted_runs,
        heldout_runs=known.heldout_runs,
        shown=_shown([found for found in (rising, falling) if found is not None]),
        validations=selection.roles(config),
        lambda_=config.law.lambda_,
        carry_over=config.law.carry_over,
        directions=Directions(rising=rising, falling=falling),
        rises=rising is not None,
        falls=falling is not None,
        fits={role: found.result() for role, found in laws.items()},
    )


def extremes(sets: Mapping[str, OutOfDomain]) -> tuple[str | None, str | None]:
    """The set whose loss rises most and the one whose loss falls most, by its mean change over the runs."""
    changes = {name: found.change.mean for name, found in sets.items()}
    order = sorted(changes, key=lambda name: changes[name])
    rising = order[-1] if order and changes[order[-1]] > 0 else None
    falling = order[0] if order and changes[order[0]] < 0 else None
    return rising, falling


def _shown(found: list[Direction]) -> dict[str, str]:
    """The best, median and worst predicted of the held-out runs."""
    if not found:
        return {}
    errors = {run: float(np.mean([one.runs[run].measured for one in found])) for run in found[0].runs}
    order = sorted(errors, key=lambda run: errors[run])
    return dict(zip(SHOWN, (order[0], order[(len(order) - 1) // 2], order[-1]), strict=True))


def _direction(name: str, found: OutOfDomain, rows: pd.DataFrame) -> Direction:
    rows = rows.assign(measured=combined(found.weights, rows))
    runs = {str(run): _run(part) for run, part in rows.groupby("run", sort=False)}
    return Direction(
        validation=name,
        weights=found.weights,
        intervals=found.intervals,
        change=found.change.mean,
        mean_absolute_error=Errors(
            measured=mean_or_none([run.measured for run in runs.values()]),
            law=mean_or_none([run.law for run in runs.values()]),
        ),
        runs=runs,
    )


def _by_law(rows: pd.DataFrame, data: FigureData, laws: Mapping[Role, Joint], found: OutOfDomain) -> Array:
    """Eq. 6 from the losses that Eq. 4 gives at the steps of `rows`, [n]."""
    runs = list(dict.fromkeys(rows["run"]))
    chosen = selection.continual(data.curves, runs, data.config.roles.general)
    features = selection.with_areas(
        chosen.merge(rows[["run", "step"]], on=["run", "step"]), data.schedules, data.config
    )
    values = {role: law.fit.predict(features) for role, law in laws.items()}
    table = features[["run", "step"]].assign(general=values[Role.GENERAL], domain=values[Role.STRONG])
    return combined(found.weights, rows[["run", "step"]].merge(table, on=["run", "step"], how="left"))


def _run(rows: pd.DataFrame) -> RunOfSet:
    return RunOfSet(
        measured=float(np.abs(rows["measured"] - rows["ood"]).mean()),
        law=float(np.abs(rows["law"] - rows["ood"]).mean()),
        table=Losses(
            phase_step=rows["phase_step"].tolist(),
            loss=rows["ood"].tolist(),
            predicted=rows["measured"].tolist(),
            law=rows["law"].tolist(),
        ),
    )
