"""Every law of the kit that can read the runs, fitted to several schedules and tested on others."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.comparison.result import LawsOfSet, Result, ScoredLaw
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.comparison import ComparedLaw, Comparison, Measured, RowNumbers
from cpt_dynamics.figures.kit.joint import SETS, SIGNS
from cpt_dynamics.figures.kit.result import RowCounts, TestedMean
from cpt_dynamics.figures.kit.statistics import mean_test
from cpt_dynamics.figures.seeds.result import Result as Seeds
from cpt_dynamics.fitting.comparison import compare, seen
from cpt_dynamics.laws import LAWS, Array, Law, floor, get, memories, replay_power, shift_variants

LAW = "cpt"  # what the others are compared with
# Laws that read a column which more than one choice makes: law -> name here -> the choice.
WEIGHTED = {"cpt_lr_weighted": {"cpt_lr_weighted_01": 0.1, "cpt_lr_weighted_02": 0.2}}
# Laws that are younger than this comparison, which stays as it was.
LATER = {"cross_lingual"} | {
    law.name for module in (floor, memories, replay_power, shift_variants) for law in module.LAWS
}
MIXED = ("share", "injected", "initial_loss", "early_decline")  # features of runs with several mixtures or domains


def analyse(data: FigureData) -> Result:
    """Errors of every law on the CPT rows of the held-out runs, on both validation sets."""
    config, entry = data.config, data.entry
    if not entry.heldout:
        raise UserError(f"{config.stated_in}: comparison has no held-out runs: list them under `heldout`")
    chosen = selection.of_runs(data.curves, list(dict.fromkeys([*entry.runs, *entry.heldout])))
    features = selection.with_areas(chosen, data.schedules, config)
    features = selection.with_replay(features, data.experiments, config)
    laws = {name: law for name, law in LAWS.items() if name not in LATER}
    reasons = {name: unfit(law, features) for name, law in laws.items()}
    readable = [law for name, law in laws.items() if not reasons[name]]
    seeds = data.optional(Seeds)
    noise = {role: seeds.noise_relative[role] if seeds else None for role in SETS}
    sets = {role: _of_set(data, features, role, readable, noise[role]) for role in SETS}
    return Result(
        figure="comparison",
        title=entry.title,
        fitted_runs=entry.runs,
        heldout_runs=entry.heldout,
        validations=selection.roles(config),
        lambda_=config.law.lambda_,
        carry_over=config.law.carry_over,
        first_step=config.law.first_step,
        not_applicable={name: reason for name, reason in reasons.items() if reason},
        noise_relative=noise,
        seconds=sum(law.seconds for found in sets.values() for law in found.laws.values()),
        sets=sets,
    )


def unfit(law: Law, features: pd.DataFrame) -> str:
    """Why a law cannot be fitted to these runs; "" if it can."""
    if law.residual == "linear":
        return "gives a difference of losses, not a loss"
    missing = [name for name in law.inputs if name not in features]
    if missing:
        what = "of runs with several mixtures" if missing[0] in MIXED else "which the curves lack"
        return f"needs the feature {missing[0]!r} {what}"
    if "s1pt" not in law.inputs and "s1cpt" in law.inputs:
        return "takes the pre-training as unknown, the same for all runs"
    moved = features[features["phase"] == "continual"]
    for name, what in {"params": "model sizes", "replay": "replay ratios"}.items():
        if name in law.inputs and moved[name].nunique() < 2:
            return f"needs several {what}, and the runs have one"
    return ""


def _of_set(
    data: FigureData, features: pd.DataFrame, role: Role, readable: Sequence[Law], noise: float | None
) -> LawsOfSet:
    config, entry = data.config, data.entry
    validation = selection.roles(config)[role]
    train = selection.to_fit(features, data.schedules, entry.runs, validation, config.law.first_step)
    tests = selection.continual(features, entry.heldout, validation)
    rows = pd.concat([train.table, tests])
    # A run all of whose rows another fitted one has is no run of the table any more.
    fitted = [run for run in entry.runs if run in set(train.table["run"])]
    laws: dict[str, Law] = {}
    features_of: dict[str, pd.DataFrame] = {}
    for law in readable:
        for label, power in WEIGHTED.get(law.name, {law.name: None}).items():
            laws[label] = get(law.name, SIGNS[role])
            features_of[label] = rows if power is None else _weighted(rows, data, power)
    compared = Comparison.model_validate(compare(laws, features_of, fitted, entry.heldout, "continual"))
    unseen = tests[~seen(tests, train.table)]
    observed = unseen["loss"].to_numpy()
    pooled = {name: _pooled(one, observed) for name, one in compared.laws.items()}
    errors = {name: one.mean_relative_error for name, one in pooled.items()}
    ranked = sorted((name for name in errors if errors[name] is not None), key=lambda name: errors[name] or 0.0)
    found = {
        name: _scored(one, pooled[name], laws[name], ranked.index(name) + 1 if name in ranked else None, noise)
        for name, one in compared.laws.items()
    }
    reference = found[LAW]
    return LawsOfSet(
        validation=validation,
        rows=RowCounts(**train.counts()),
        heldout_rows=RowNumbers(all=len(tests), unseen=len(unseen)),
        best=ranked[0] if ranked else None,
        better_fit=min(found, key=lambda name: found[name].objective),
        over_s1_only=_over(reference.error, errors.get("s1_only")),
        over_best=_over(reference.error, errors[ranked[0]] if ranked else None),
        laws={
            name: one if name == LAW else one.model_copy(update={"difference": _difference(one, reference)})
            for name, one in found.items()
        },
    )


def _weighted(rows: pd.DataFrame, data: FigureData, power: float) -> pd.DataFrame:
    """The same rows with annealing areas weighted by another power of the LR (Eq. 9)."""
    return selection.with_areas(rows, data.schedules, data.config, lr_power=power)


def _scored(one: ComparedLaw, pooled: Measured, law: Law, rank: int | None, noise: float | None) -> ScoredLaw:
    return ScoredLaw(
        law=one.law,
        source=one.source,
        parameters=one.parameters,
        objective=one.objective,
        converged=bool(one.converged),
        n_starts=one.n_starts or 0,
        n_agree=one.n_agree or 0,
        seconds=one.seconds,
        fit=one.fit,
        r2_fitted=one.train.r2,
        error=pooled.mean_relative_error,
        worst=pooled.worst_relative_error,
        r2=pooled.r2,
        runs={run: errors.unseen.mean_relative_error for run, errors in one.runs.items()},
        r2_runs={run: errors.unseen.r2 for run, errors in one.runs.items()},
        over_noise=_over(pooled.mean_relative_error, noise),
        rank=rank,
        n_parameters=len(law.parameters),
        shift=any(term.inputs == ("s1cpt",) for term in law.terms),
        difference=None,
    )


def _pooled(one: ComparedLaw, observed: Array) -> Measured:
    """Errors over the unseen rows of all runs, from those of each run; observed: all their losses, [n]."""
    errors = [found.unseen for found in one.runs.values() if found.unseen.n]
    n = sum(e.n for e in errors)
    if not n:
        return Measured(n=0)
    spread = float(np.sum((observed - observed.mean()) ** 2))
    squares = sum(e.n * (e.rmse or 0.0) ** 2 for e in errors)
    return Measured(
        n=n,
        mean_relative_error=sum(e.n * (e.mean_relative_error or 0.0) for e in errors) / n,
        worst_relative_error=max(e.worst_relative_error or 0.0 for e in errors),
        r2=1 - squares / spread if spread > 0 else None,
    )


def _difference(one: ScoredLaw, other: ScoredLaw) -> TestedMean:
    """`mean_test` of the error of a law minus that of another over the held-out runs."""
    pairs = [(error, other.runs[run]) for run, error in one.runs.items()]
    return mean_test([a - b for a, b in pairs if a is not None and b is not None], "held-out run")


def _over(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None
