"""What another seed changes: final losses, whole curves, and the coefficients of Eq. 4."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, SIGNS, errors, fitted
from cpt_dynamics.figures.kit.statistics import mean_test
from cpt_dynamics.figures.seeds.result import (
    Along,
    FinalLosses,
    FitErrors,
    LawOfSeeds,
    OverSeeds,
    Predicted,
    Result,
    SeedErrors,
)
from cpt_dynamics.fitting import Fit
from cpt_dynamics.laws import get

Groups = dict[str, list[str]]  # what was trained -> its runs, one a seed
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """What needs no law, on one validation set; see `Result`."""

    noise: float | None
    noise_relative: float | None
    along: Along | None
    offset: float | None
    residual: float | None
    offset_by_chance: float | None
    final: dict[str, FinalLosses]


def analyse(data: FigureData) -> Result:
    """Deviations over seeds on every validation set, and Eq. 4 fitted to each seed's runs of Fig. 3."""
    entry, experiments = data.entry, data.experiments
    rows = selection.of_runs(data.curves, entry.runs)
    found = groups(experiments, entry.runs)
    repeated = {name: runs for name, runs in found.items() if len(runs) > 1}
    sets = {str(name): noise_of_set(rows, repeated, str(name)) for name in rows["validation"].unique()}
    roles = selection.roles(data.config)
    parts = {role: sets.get(validation) or noise_of_set(rows, {}, validation) for role, validation in roles.items()}
    return Result(
        figure="seeds",
        title=entry.title,
        runs=entry.runs,
        validations=roles,
        groups=repeated,
        skipped=[name for name in found if name not in repeated],
        seeds=sorted({experiments.runs[run].seed for runs in repeated.values() for run in runs}),
        noise={role: part.noise for role, part in parts.items()},
        noise_relative={role: part.noise_relative for role, part in parts.items()},
        along={role: part.along for role, part in parts.items()},
        offset={role: part.offset for role, part in parts.items()},
        residual={role: part.residual for role, part in parts.items()},
        offset_by_chance={role: part.offset_by_chance for role, part in parts.items()},
        noise_of_sets={name: part.noise for name, part in sets.items()},
        noise_relative_of_sets={name: part.noise_relative for name, part in sets.items()},
        final={name: part.final for name, part in sets.items()},
        law={role: _laws(data, rows, repeated, role, parts[role]) for role in SETS},
    )


def groups(experiments: Experiments, runs: Sequence[str]) -> Groups:
    """The CPT runs among `runs` by what was trained, each with its runs in the order of their seeds."""
    found: Groups = {}
    for run in sorted(selection.transfers(experiments, list(runs)), key=lambda run: run.seed):
        found.setdefault(run.group, []).append(run.name)
    order = [experiments.runs[run].group for run in runs]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def pooled(values: Sequence[Array]) -> float | None:
    """Square root of the mean of the variances (with n-1) of several samples; None without any."""
    return float(np.sqrt(np.mean([np.var(sample, ddof=1) for sample in values]))) if len(values) else None


def noise_of_set(rows: pd.DataFrame, repeated: Groups, validation: str) -> Noise:
    """Everything that needs no law, on one validation set."""
    wide = rows[(rows["validation"] == validation) & (rows["phase"] == "continual")]
    wide = wide.pivot(index="phase_step", columns="run", values="loss").sort_index()
    curves = {name: _curves(wide, runs, validation) for name, runs in repeated.items()}
    final = {name: table.iloc[-1] for name, table in curves.items()}
    losses = [last.to_numpy() for last in final.values()]
    offset, residual, by_chance = _split([table.to_numpy() for table in curves.values() if len(table) > 1])
    return Noise(
        noise=pooled(losses),
        noise_relative=pooled([sample / sample.mean() for sample in losses]),
        along=_along(curves),
        offset=offset,
        residual=residual,
        offset_by_chance=by_chance,
        final={
            name: FinalLosses(losses=last.to_dict(), mean=float(last.mean()), sd=float(last.std(ddof=1)))
            for name, last in final.items()
        },
    )


def _curves(wide: pd.DataFrame, runs: list[str], validation: str) -> pd.DataFrame:
    """Losses of the seeds of one group, [CPT steps measured in all of them, seeds]; wide: of all runs."""
    missing = [run for run in runs if run not in wide]
    found = pd.DataFrame() if missing else wide[runs].dropna()
    if not len(found):
        raise UserError(
            f"run {(missing or runs)[0]!r} has no losses on {validation!r} in CPT that its other seeds have, too:"
            " evaluate all seeds alike"
        )
    return found


def _along(curves: dict[str, pd.DataFrame]) -> Along | None:
    """The pooled deviation at each CPT step of the groups with the most common length."""
    if not curves:
        return None
    lengths = [int(table.index.max()) for table in curves.values()]
    common = max(set(lengths), key=lambda length: (lengths.count(length), length))
    alike = [table for table in curves.values() if table.index.max() == common]
    steps = sorted(set.intersection(*(set(table.index) for table in alike)))
    sd = [pooled([table.loc[step].to_numpy() for table in alike]) for step in steps]
    return Along(phase_step=steps, sd=[value for value in sd if value is not None])


def _split(curves: list[Array]) -> tuple[float | None, float | None, float | None]:
    """Offset and residual of curves [steps, seeds] around the mean over seeds, and the offset by chance.

    The residual has (steps - 1) * (seeds - 1) degrees of freedom; both are pooled over curves.
    """
    if not curves:
        return None, None, None
    offsets, left, chance = [], [], []
    for losses in curves:
        steps, seeds = losses.shape
        apart = losses - losses.mean(axis=1, keepdims=True)
        offset = apart.mean(axis=0)
        variance = float(np.sum((apart - offset) ** 2)) / ((steps - 1) * (seeds - 1))
        offsets.append(float(np.sum(offset**2)) / (seeds - 1))
        left.append(variance)
        chance.append(variance / steps)
    return float(np.sqrt(np.mean(offsets))), float(np.sqrt(np.mean(left))), float(np.sqrt(np.mean(chance)))


def _laws(data: FigureData, rows: pd.DataFrame, repeated: Groups, role: Role, noise: Noise) -> LawOfSeeds | None:
    """Eq. 4 fitted to the runs of Fig. 3 at each seed, and what the fit of the first seed says of the others."""
    by_seed = _fitted_runs(data.experiments, list(rows["run"].unique()), repeated)
    if len(by_seed) < 2:
        return None
    validation = data.config.corpus_of(role)
    features = selection.with_areas(rows[rows["validation"] == validation], data.schedules, data.config)
    law = get("cpt", SIGNS[role])
    found = {seed: fitted(features, data.schedules, data.config, runs, role, law) for seed, runs in by_seed.items()}
    first = next(iter(found.values())).fit
    measured = {}
    for seed, one in found.items():
        seen = selection.continual(features, by_seed[seed], validation)
        measured[seed] = FitErrors(first=_errors(first, seen, noise), own=_errors(one.fit, seen, noise))
    others = list(measured.values())[1:]
    on_others = _mean([one.first.mean_relative_error for one in others])
    own = _mean([one.own.mean_relative_error for one in others])
    return LawOfSeeds(
        runs=by_seed,
        fits={seed: one.result() for seed, one in found.items()},
        parameters=_over_seeds([one.fit.parameters for one in found.values()]),
        combinations=_over_seeds([one.fit.combinations for one in found.values()]),
        errors=measured,
        first_on_others=on_others,
        first_over_own=on_others / own if on_others is not None and own else None,
        final={
            name: _final(first, selection.continual(features, runs, validation), noise.noise)
            for name, runs in repeated.items()
        },
    )


def _fitted_runs(experiments: Experiments, runs: Sequence[str], repeated: Groups) -> dict[int, list[str]]:
    """By seed, those of `runs` that are a run of Fig. 3 with that seed; seeds that lack one are left out."""
    wanted = [experiments.runs[run].group for run in selection.entry(experiments, "fig03").runs]
    seeds = sorted({experiments.runs[run].seed for names in repeated.values() for run in names})
    by_seed: dict[int, list[str]] = {}
    for seed in seeds:
        mine = {experiments.runs[run].group: run for run in runs if experiments.runs[run].seed == seed}
        if all(name in mine for name in wanted):
            by_seed[seed] = [mine[name] for name in wanted]
    return by_seed


def _over_seeds(values: list[dict[str, float]]) -> dict[str, OverSeeds]:
    """Each number over seeds, with `mean_test`'s interval of its mean."""
    result = {}
    for name in values[0]:
        several = [one[name] for one in values]
        tested = mean_test(several, "seed")
        result[name] = OverSeeds(
            values=several,
            sd=float(np.std(several, ddof=1)),
            mean=tested.mean,
            low=tested.low,
            high=tested.high,
            n=tested.n,
        )
    return result


def _errors(found: Fit, rows: pd.DataFrame, noise: Noise) -> SeedErrors:
    measured = errors(found, rows)
    error = measured.get("mean_relative_error")
    return SeedErrors(
        n=measured["n"],
        r2=measured.get("r2"),
        rmse=measured.get("rmse"),
        mean_relative_error=error,
        worst_relative_error=measured.get("worst_relative_error"),
        over_noise=error / noise.noise_relative if error is not None and noise.noise_relative else None,
    )


def _mean(values: list[float | None]) -> float | None:
    """The mean; None if a value is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _final(first: Fit, rows: pd.DataFrame, noise: float | None) -> Predicted:
    """The final loss that the first seed's fit predicts for a group, and its error over the noise."""
    last = rows[rows["phase_step"] == rows["phase_step"].max()]
    predicted = float(first.predict(last)[0])  # seeds have the same LR, so the same areas
    error = predicted - float(last["loss"].mean())
    return Predicted(predicted=predicted, error=error, over_noise=error / noise if noise else None)
