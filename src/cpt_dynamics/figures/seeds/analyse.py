"""What another seed changes: final losses, whole curves, and the coefficients of Eq. 4."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, SIGNS, Joint, errors, fitted
from cpt_dynamics.figures.kit.statistics import mean_test
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit
from cpt_dynamics.laws import get

Groups = dict[str, list[str]]  # what was trained -> its runs, one a seed
Array = NDArray[np.float64]


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Standard deviations over seeds of CPT losses (nats/token), and Eq. 4 fitted to each seed's runs of Fig. 3.

    A group is a CPT run with all its seeds; groups with one seed are left out (`skipped`). All deviations are
    pooled: the square root of the mean over groups of the variance, with n-1 of n seeds. `noise` (by role) and
    `noise_of_sets` (by validation set): of the final loss; `noise_relative`: of the final loss over its mean.
    `along` has it at every step of CPT that is measured in all groups with as long a CPT. `offset` and `residual`
    split the difference of whole CPT curves from the mean over seeds: of a curve's mean over its measured steps,
    and of what is left around it; `offset_by_chance` is the deviation of a curve's mean if only the residual were
    there and its steps were independent. Everything is None without repeated seeds.
    """
    entry = selection.entry(experiments, "seeds")
    rows = selection.of_runs(curves, list(entry.runs))
    found = groups(experiments, entry.runs)
    repeated = {name: runs for name, runs in found.items() if len(runs) > 1}
    sets = {str(name): _of_set(rows, repeated, str(name)) for name in rows["validation"].unique()}
    roles = selection.roles(config)
    parts = {role: sets.get(validation) or _of_set(rows, {}, validation) for role, validation in roles.items()}
    return plain(
        {
            "figure": "seeds",
            "title": entry.title,
            "runs": list(entry.runs),
            "validations": roles,
            "groups": repeated,
            "skipped": [name for name in found if name not in repeated],
            "seeds": sorted({experiments.runs[run].seed for runs in repeated.values() for run in runs}),
            **{key: {role: part[key] for role, part in parts.items()} for key in KEYS},
            "noise_of_sets": {name: part["noise"] for name, part in sets.items()},
            "noise_relative_of_sets": {name: part["noise_relative"] for name, part in sets.items()},
            "final": {name: part["final"] for name, part in sets.items()},
            "law": {role: _laws(rows, schedules, config, experiments, repeated, role, parts[role]) for role in SETS},
        }
    )


KEYS = ("noise", "noise_relative", "along", "offset", "residual", "offset_by_chance")


def groups(experiments: Experiments, runs: Sequence[str]) -> Groups:
    """The CPT runs among `runs` by what was trained, each with its runs in the order of their seeds."""
    found: Groups = {}
    for run in sorted(selection.transfers(experiments, list(runs)), key=lambda run: run.seed):
        found.setdefault(selection.group(run.name), []).append(run.name)
    order = [selection.group(run) for run in runs]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def pooled(values: Sequence[Array]) -> float | None:
    """Square root of the mean of the variances (with n-1) of several samples; None without any."""
    return float(np.sqrt(np.mean([np.var(sample, ddof=1) for sample in values]))) if len(values) else None


def _of_set(rows: pd.DataFrame, repeated: Groups, validation: str) -> dict[str, Any]:
    """Everything that needs no law, on one validation set."""
    wide = rows[(rows["validation"] == validation) & (rows["phase"] == "continual")]
    wide = wide.pivot(index="phase_step", columns="run", values="loss").sort_index()
    curves = {name: _curves(wide, runs, validation) for name, runs in repeated.items()}
    final = {name: table.iloc[-1] for name, table in curves.items()}
    losses = {name: last.to_numpy() for name, last in final.items()}
    return {
        "noise": pooled(list(losses.values())),
        "noise_relative": pooled([sample / sample.mean() for sample in losses.values()]),
        "along": _along(curves),
        **_split([table.to_numpy() for table in curves.values() if len(table) > 1]),
        "final": {
            name: {"losses": last.to_dict(), "mean": float(last.mean()), "sd": float(last.std(ddof=1))}
            for name, last in final.items()
        },
    }


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


def _along(curves: dict[str, pd.DataFrame]) -> dict[str, list[float]] | None:
    """The pooled deviation at each CPT step of the groups with the most common length."""
    if not curves:
        return None
    lengths = [int(table.index.max()) for table in curves.values()]
    common = max(set(lengths), key=lambda length: (lengths.count(length), length))
    alike = [table for table in curves.values() if table.index.max() == common]
    steps = sorted(set.intersection(*(set(table.index) for table in alike)))
    sd = [pooled([table.loc[step].to_numpy() for table in alike]) for step in steps]
    return {"phase_step": steps, "sd": [value for value in sd if value is not None]}


def _split(curves: list[Array]) -> dict[str, float | None]:
    """Offset and residual of curves [steps, seeds] around the mean over seeds.

    The residual has (steps - 1) * (seeds - 1) degrees of freedom; both are pooled over curves.
    """
    if not curves:
        return {"offset": None, "residual": None, "offset_by_chance": None}
    offsets, left, chance = [], [], []
    for losses in curves:
        steps, seeds = losses.shape
        apart = losses - losses.mean(axis=1, keepdims=True)
        offset = apart.mean(axis=0)
        variance = float(np.sum((apart - offset) ** 2)) / ((steps - 1) * (seeds - 1))
        offsets.append(float(np.sum(offset**2)) / (seeds - 1))
        left.append(variance)
        chance.append(variance / steps)
    root = [float(np.sqrt(np.mean(values))) for values in (offsets, left, chance)]
    return {"offset": root[0], "residual": root[1], "offset_by_chance": root[2]}


def _laws(
    rows: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    repeated: Groups,
    role: str,
    part: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Eq. 4 fitted to the runs of Fig. 3 at each seed, and what the fit of the first seed says of the others."""
    by_seed = _fitted_runs(experiments, list(rows["run"].unique()), repeated)
    if len(by_seed) < 2:
        return None
    validation = config.corpus_of(role)
    features = selection.with_areas(rows[rows["validation"] == validation], schedules, config)
    law = get("cpt", SIGNS[role])
    found = {seed: fitted(features, schedules, config, runs, role, law) for seed, runs in by_seed.items()}
    first = next(iter(found.values())).fit
    return {
        "runs": {str(seed): runs for seed, runs in by_seed.items()},
        "fits": {str(seed): one.summary() for seed, one in found.items()},
        "parameters": _over_seeds([one.fit.parameters for one in found.values()]),
        "combinations": _over_seeds([one.fit.combinations for one in found.values()]),
        "errors": {
            str(seed): _errors(first, one, selection.continual(features, by_seed[seed], validation), part)
            for seed, one in found.items()
        },
        "final": {
            name: _final(first, selection.continual(features, runs, validation), part["noise"])
            for name, runs in repeated.items()
        },
    }


def _fitted_runs(experiments: Experiments, runs: Sequence[str], repeated: Groups) -> dict[int, list[str]]:
    """By seed, those of `runs` that are a run of Fig. 3 with that seed; seeds that lack one are left out."""
    wanted = [selection.group(run) for run in selection.entry(experiments, "fig03").runs]
    seeds = sorted({experiments.runs[run].seed for names in repeated.values() for run in names})
    by_seed: dict[int, list[str]] = {}
    for seed in seeds:
        mine = {selection.group(run): run for run in runs if experiments.runs[run].seed == seed}
        if all(name in mine for name in wanted):
            by_seed[seed] = [mine[name] for name in wanted]
    return by_seed


def _over_seeds(values: list[dict[str, float]]) -> dict[str, Any]:
    """Each number over seeds: the values, their standard deviation, and `mean_test`'s 90 % interval of their mean."""
    result = {}
    for name in values[0]:
        several = [one[name] for one in values]
        tested = mean_test(several, "seed").model_dump()
        kept = {key: tested[key] for key in ("mean", "low", "high", "n")}
        result[name] = {"values": several, "sd": float(np.std(several, ddof=1)), **kept}
    return result


def _errors(first: Fit, own: Joint, rows: pd.DataFrame, part: Mapping[str, Any]) -> dict[str, Any]:
    """Errors of the first seed's fit and of a seed's own fit on that seed's CPT rows of Fig. 3.

    `over_noise` of a fit: its mean relative error over the relative noise of a final loss.
    """
    noise = part["noise_relative"]

    def kept(found: Fit) -> dict[str, Any]:
        measured = errors(found, rows)
        error = measured.get("mean_relative_error")
        return {
            **{key: measured.get(key) for key in ("n", "r2", "rmse", "mean_relative_error", "worst_relative_error")},
            "over_noise": error / noise if error is not None and noise else None,
        }

    return {"first": kept(first), "own": kept(own.fit)}


def _final(first: Fit, rows: pd.DataFrame, noise: float | None) -> dict[str, Any]:
    """The final loss that the first seed's fit predicts for a group, and its error over the noise."""
    last = rows[rows["phase_step"] == rows["phase_step"].max()]
    last.attrs = rows.attrs
    predicted = float(first.predict(last)[0])  # seeds have the same LR, so the same areas
    error = predicted - float(last["loss"].mean())
    return {"predicted": predicted, "error": error, "over_noise": error / noise if noise else None}
