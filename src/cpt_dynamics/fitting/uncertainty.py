"""How uncertain a fitted law is, from whole curves that were left out and from repeated seeds.

Residuals of such fits are not noise: neighbouring rows miss the law together, since the formula is not exact.
So no interval here resamples residuals. On public curves of a 400M model, bootstrapping blocks of residuals of
the annealing law gave a 95 % interval for C that did not hold the estimate itself. What counts is how far the
law misses a curve that it was not fitted to, and how far its parameters move when curves are taken away or the
seed is changed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpt_dynamics.areas import History
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.fit import Fit, fit
from cpt_dynamics.fitting.identifiability import Identifiability, collinear, identifiability, involved
from cpt_dynamics.laws import Array, Law, get
from cpt_dynamics.laws.base import HISTORY

Mask = NDArray[np.bool_]
MIN_SEEDS = 3
SAME = 0.15  # how far an exponent may be from 1 to be named without one
QUANTILES = np.arange(1, 21) / 20  # of the errors of a curve, see `HeldOut.spread`
FAST = 0.5, 0.2  # an LR that falls by this share of its peak within this share of the run's steps falls fast
KEPT = 0.1  # share of its parts' changes below which a combination does not change


@dataclass(frozen=True)
class HeldOut:
    """One group of rows (a run, unless told otherwise), predicted by the fit to all others.

    n_heldout of n_rows measurements occur in no other group; errors are over those: `mean_error` and
    `worst_error` of absolute values, `bias` the mean and `end_error` the one of the last row, both above 0 where
    the prediction is too high. parameters, combinations: of the refit; a combination is NaN where a parameter
    takes part that has no effect on the other groups. undetermined: parameters that the other groups cannot
    determine. warnings: of the refit, but for those that the fit to all rows has, too. spread: the sizes of error that
    5, 10 ... 100 % of its rows do not exceed. lost: what all groups determine and the others do not: parameters, and
    how the loss follows a fast fall of the LR. A curve that loses something tells of the missing run, not of the law,
    and no band counts it.
    """

    group: str
    n_rows: int
    n_heldout: int
    mean_error: float
    worst_error: float
    bias: float
    end_error: float
    parameters: dict[str, float]
    combinations: dict[str, float]
    undetermined: list[str]
    warnings: list[str]
    spread: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LeftOut:
    """Leaving one curve out, for every curve.

    found: the fit to all rows, each measurement once. relative: errors are fractions of the observed loss;
    False for laws of a difference, where they are in nats. not_testable: groups all of whose rows occur in
    others. pooled: errors over the held-out rows of all groups, and the mean size of their end errors.
    """

    found: Fit
    relative: bool
    curves: list[HeldOut]
    not_testable: list[str]
    pooled: dict[str, float]

    def table(self) -> pd.DataFrame:
        """One row for every curve: its errors and the parameters of its refit."""
        kept = ("group", "n_rows", "n_heldout", "mean_error", "worst_error", "bias", "end_error")
        return pd.DataFrame([{**{name: getattr(c, name) for name in kept}, **c.parameters} for c in self.curves])


@dataclass(frozen=True)
class Band:
    """A half-width around predictions that the errors of unseen curves should stay within; NaN without any curve.

    level: the share for which it is meant to hold. attainable: whether the order of the errors alone gives that level;
    if not, the half-width takes them as normal (see `intervals`).
    """

    half_width: float
    level: float
    attainable: bool


@dataclass(frozen=True)
class Interval:
    """An interval for one number; `reason` says why there is none (then the limits are NaN). n: of values."""

    estimate: float
    lower: float
    upper: float
    sd: float
    n: int
    reason: str = ""


@dataclass(frozen=True)
class Intervals:
    """Intervals at `level`: for the mean, the end and single rows of a predicted curve, and for parameters."""

    level: float
    mean: Band
    end: Band
    rows: Band
    parameters: dict[str, Interval]
    combinations: dict[str, Interval]
    notes: list[str]


@dataclass(frozen=True)
class SeedIntervals:
    """Parameters over seeds: the mean over seeds and its interval; `reason` says why there is none."""

    level: float
    seeds: list[int]
    groups: list[str]
    parameters: dict[str, Interval]
    combinations: dict[str, Interval]
    warnings: list[str]
    reason: str = ""


def leave_one_curve_out(
    law: Law | str, features: pd.DataFrame, loss: Any, groups: Iterable[Any] | None = None, **options: Any
) -> LeftOut:
    """Refit `law` without each group of rows and predict that group; `options` are those of `fitting.fit`.

    groups: a label for every row; None takes the column `run`. Runs that branch off one pre-training repeat its
    rows. Such a measurement (see `measurements`) is fitted once only, and is no held-out row of a run as long as
    another one has it. Give the table with the repeats, or the runs that lack them lose their pre-training
    together with the run that has it. See `independent` for groups that share no row.
    """
    law = get(law) if isinstance(law, str) else law
    observed = np.asarray(loss, dtype=np.float64)
    labels = _labels(features, groups)
    keys = measurements(features, observed, None if "run" in features else labels)
    names = list(dict.fromkeys(labels.tolist()))
    if len(names) < 2:
        raise UserError(f"leaving one curve out needs at least two, has {len(names)} ({names}): add runs")
    everything = np.ones(len(keys), dtype=bool)
    found = _fit_once(law, features, observed, keys, everything, options)
    whole = _known(found, features, everything)
    warm = {**options, "starts": [found.parameters, *options.get("starts", ())]}
    curves, errors, not_testable = [], [], []
    for name in names:
        inside = labels == name
        heldout = _own(keys, inside)
        if not heldout.any():
            not_testable.append(str(name))
            continue
        try:
            refit = _fit_once(law, features, observed, keys, ~inside, warm)
        except UserError as problem:
            raise UserError(f"without {name!r}: {problem}") from None
        known = _known(refit, features, ~inside)
        rows = _by_step(features, heldout)
        error = _errors(refit, features, observed, rows)
        errors.append(error)
        curves.append(
            _held_out(str(name), int(_once(keys, inside).sum()), error, refit, known, found, _lost(whole, known))
        )
    if not curves:
        raise UserError("every row occurs in several groups, so none can be held out: choose other groups")
    return LeftOut(found, law.residual == "log", curves, not_testable, _pooled(errors))


def left_out_rows(
    features: pd.DataFrame, loss: Any, groups: Iterable[Any] | None = None
) -> dict[str, NDArray[np.intp]]:
    """The rows that `leave_one_curve_out` tests on: positions in the order of steps, by group."""
    labels = _labels(features, groups)
    keys = measurements(features, np.asarray(loss, dtype=np.float64), None if "run" in features else labels)
    names = dict.fromkeys(labels.tolist())
    return {str(name): _by_step(features, _own(keys, labels == name)) for name in names}


def measurements(features: pd.DataFrame, loss: Array, groups: Iterable[Any] | None = None) -> pd.Series:
    """A number for every row, [n], equal for rows that are one measurement listed for several runs.

    Runs that branch off each other share what came before: rows are one measurement if step and loss agree, and
    if they do so at every earlier step that both runs have, too (a loss printed with few digits may agree by
    chance). Only rows of one seed and one validation set are compared, where there are such columns.
    """
    if "step" not in features:
        raise UserError("the features lack the column 'step', which tells rows that runs share: add it")
    table = pd.DataFrame({"run": _labels(features, groups), "step": features["step"].to_numpy(), "loss": loss})
    same = [name for name in ("seed", "validation") if name in features]
    for name in same:
        table[name] = features[name].to_numpy()
    keys = np.arange(len(table))
    known: list[tuple[Any, pd.DataFrame]] = []
    for label, rows in table.groupby(["run", *same], sort=False, dropna=False):
        rows = rows.sort_values("step", kind="stable")
        for other, earlier in known:
            if other[1:] == label[1:]:
                _, mine, its = np.intersect1d(rows["step"], earlier["step"], return_indices=True)
                equal = rows["loss"].to_numpy()[mine] == earlier["loss"].to_numpy()[its]
                n = len(equal) if equal.all() else int(equal.argmin())
                keys[rows.index[mine[:n]]] = keys[earlier.index[its[:n]]]
        known.append((label, rows))
    return pd.Series(keys)


def independent(features: pd.DataFrame, loss: Any, groups: Iterable[Any] | None = None) -> NDArray[Any]:
    """Labels of the rows, [n], that join groups which share rows: the first of their names.

    Runs from one pre-training share its noise, and a run left out alone takes none of it away.
    """
    labels = _labels(features, groups)
    keys = measurements(features, np.asarray(loss, dtype=np.float64), None if "run" in features else labels).to_numpy()
    while True:
        codes = pd.Series(pd.factorize(labels)[0])
        joined = codes.groupby(keys).transform("min").groupby(codes).transform("min")
        if (joined == codes).all():
            return labels
        labels = np.asarray(pd.unique(pd.Series(labels)))[joined.to_numpy()]


def intervals(leftout: LeftOut, level: float = 0.9) -> Intervals:
    """Intervals from held-out curves.

    Predictions: with errors of n held-out curves in ascending order, the one of rank ceil((n+1)*level) is not
    exceeded by a further curve with that probability, as if the curves were exchangeable (conformal prediction;
    Barber et al., Predictive inference with the jackknife+, Annals of Statistics 49(1), 2021, on what leaving
    one out may lose of it). The highest level that ranks attain is n/(n+1), so that 90 % takes nine curves. For fewer
    the errors of curves count as normal around zero: a further one divided by the root mean square of n others has
    Student's t distribution with n degrees of freedom. That half-width is never below the largest error. A curve
    without which the others determine less does not count (see `HeldOut`). Schedules are chosen, not drawn: for a
    schedule unlike all fitted ones the errors may be larger (see `predictions.prediction_warnings`).

    Single rows: the size of error that a row of a left-out curve does not exceed with probability `level`, each curve
    with the same weight, however many rows it has. Rows of one curve err together, so no such promise holds for few
    curves; one that does (a further curve counted as wholly outside) is the largest error of all for less than ten.

    Parameters: delete-one-curve jackknife, t distribution with n-1 degrees, on a logarithmic scale where the
    parameter's lower bound is positive. Where curves share rows it leaves out too little; `notes` says so.
    """
    if not 0 < level < 1:
        raise UserError(f"level is {level}: it lies between 0 and 1")
    curves, law = leftout.curves, leftout.found.law
    notes = []
    shared = sum(curve.n_heldout < curve.n_rows for curve in curves)
    if shared or leftout.not_testable:
        notes.append(
            f"{shared + len(leftout.not_testable)} curves share rows with others, so the intervals of parameters are"
            " too narrow where those rows matter: leave out groups without common rows (see `independent`)"
        )
    bands = bands_of(curves, level)
    counted = sum(not curve.lost for curve in curves)
    if counted < len(curves):
        lost = ", ".join(f"{curve.group} ({', '.join(curve.lost)})" for curve in curves if curve.lost)
        notes.append(f"the bands do not count what the other curves cannot tell: {lost}")
    if counted and not bands["mean"].attainable:
        notes.append(
            f"{counted} curves left out are too few for a {level:.0%} band from the order of their errors: the bands"
            " for the mean and the end take these errors as normal around zero (Student's t), and are never narrower"
            " than the largest of them"
        )
    positive = {p.name: p.lower > 0 for p in law.parameters}
    parameters = {
        name: _jackknife(value, _values(curves, name), positive[name], level)
        for name, value in leftout.found.parameters.items()
    }
    combinations = {
        name: _jackknife(value, _combined(curves, name), False, level)
        for name, value in leftout.found.combinations.items()
    }
    return Intervals(level, bands["mean"], bands["end"], bands["rows"], _inside(law, parameters), combinations, notes)


def seed_intervals(
    law: Law | str,
    features: pd.DataFrame,
    loss: Any,
    level: float = 0.9,
    groups: Iterable[Any] | None = None,
    **options: Any,
) -> SeedIntervals:
    """Refit `law` to each seed, and the t interval of every parameter's mean over seeds.

    Only what was trained with every seed is used, so that seeds differ in nothing else. groups: what was
    trained, a label for every row; None takes the run's name up to ".seed". At least three seeds are needed.
    """
    law = get(law) if isinstance(law, str) else law
    observed = np.asarray(loss, dtype=np.float64)
    if "seed" not in features:
        return _no_seeds(level, "the features have no column 'seed'")
    labels = np.array([without_seed(run) for run in _labels(features, groups)], dtype=object)
    seeds = features["seed"].to_numpy()
    distinct = sorted(set(seeds.tolist()))
    if len(distinct) < MIN_SEEDS:
        return _no_seeds(level, f"an interval over seeds needs at least {MIN_SEEDS} of them, has {len(distinct)}")
    common = sorted(set.intersection(*(set(labels[seeds == seed].tolist()) for seed in distinct)))
    if not common:
        return _no_seeds(level, f"no run was trained with all of the {len(distinct)} seeds")
    keys = measurements(features, observed, None if "run" in features else labels)
    rows = np.isin(labels, common)
    fits = [_fit_once(law, features, observed, keys, rows & (seeds == seed), options) for seed in distinct]
    logs = {p.name: p.lower > 0 for p in law.parameters}
    parameters = {name: _over_seeds([f.parameters[name] for f in fits], logs[name], level) for name in logs}
    combinations = {
        name: _over_seeds([f.combinations[name] for f in fits], False, level) for name in fits[0].combinations
    }
    warnings = list(dict.fromkeys(line for f in fits for line in f.warnings))
    return SeedIntervals(level, distinct, common, _inside(law, parameters), combinations, warnings)


def without_seed(run: Any) -> str:
    """The name of a run up to ".seed": what its repeats with other seeds share."""
    return str(run).split(".seed")[0]


def report(found: Fit, features: Any, tolerance: float = 1e-3) -> list[str]:
    """Plain lines on what the rows of `features` determine at a fit, and what they leave open.

    tolerance: a direction counts as open where it moves the predictions less than this share of what the best
    determined one does (see `identifiability`).
    """
    law, parameters = found.law, found.parameters
    known = identifiability(law, parameters, features, tolerance)
    size = "infinite" if not np.isfinite(known.condition) else f"{known.condition:.2g}"
    lines = [f"condition number of the fit of {law.name!r}: {size} ({len(parameters)} parameters)"]
    lines += [f"not determined, as it has no effect on any row: {name}" for name in known.undetermined]
    scale = np.linalg.norm(relative_jacobian(law, parameters, features), axis=0)
    lengths = dict(zip((p.name for p in law.parameters), scale.tolist(), strict=True))
    for direction in known.directions[::-1]:
        moves = {name: weight / lengths[name] for name, weight in direction.items()}
        names = involved(direction)
        lines.append(f"not told apart: {', '.join(names)}{_invariant(law, parameters, moves, names)}")
        for name in _determined(law, parameters, moves, names):
            lines.append(f"determined instead: {name} = {found.combinations[name]:.4g}")
    if not known.directions and not known.undetermined:
        lines.append(f"every parameter is determined (no direction below {tolerance:g} of the strongest one)")
    return lines


def _labels(features: pd.DataFrame, groups: Iterable[Any] | None) -> NDArray[Any]:
    """The label of every row, [n]."""
    if groups is None and "run" not in features:
        raise UserError("the features lack the column 'run': add it, or give `groups`, a label for every row")
    labels = np.array(list(features["run"] if groups is None else groups), dtype=object)
    if len(labels) != len(features):
        raise UserError(f"groups has {len(labels)} labels for {len(features)} rows: give one for every row")
    return labels


def _part(features: pd.DataFrame, rows: Mask | NDArray[np.intp]) -> pd.DataFrame:
    return features.iloc[np.flatnonzero(rows) if rows.dtype == bool else rows]


def _fit_once(
    law: Law, features: pd.DataFrame, loss: Array, keys: pd.Series, rows: Mask, options: Mapping[str, Any]
) -> Fit:
    """The fit to the measurements of some rows, each once."""
    first = _once(keys, rows)
    return fit(law, _part(features, first), loss[first], **options)


def _once(keys: pd.Series, rows: Mask) -> Mask:
    """The chosen rows without those whose measurement an earlier one of them has."""
    first = rows.copy()
    first[rows] = ~keys[rows].duplicated().to_numpy()
    return first


def _own(keys: pd.Series, inside: Mask) -> Mask:
    """The measurements of a group that no other group has, each once."""
    return _once(keys, inside) & ~keys.isin(set(keys[~inside])).to_numpy()


def _by_step(features: pd.DataFrame, rows: Mask) -> NDArray[np.intp]:
    """Positions of the chosen rows in the order of their steps."""
    at = np.flatnonzero(rows)
    return at[np.argsort(features["step"].to_numpy()[at], kind="stable")]


def _errors(refit: Fit, features: pd.DataFrame, loss: Array, rows: NDArray[np.intp]) -> Array:
    """Predicted minus observed, relative to the observed for laws of a loss, [rows]."""
    error = refit.predict(_part(features, rows)) - loss[rows]
    return error / loss[rows] if refit.law.residual == "log" else error


@dataclass(frozen=True)
class _Known:
    """What some rows determine of a law: the fit's identifiability, and whether any LR falls fast."""

    fit: Identifiability
    fast: bool

    @property
    def undetermined(self) -> list[str]:
        return list(dict.fromkeys([*self.fit.undetermined, *(n for names in collinear(self.fit) for n in names)]))


def _known(found: Fit, features: pd.DataFrame, rows: Mask) -> _Known:
    part = _part(features, rows)
    histories = dict.fromkeys(part[HISTORY]) if HISTORY in part else {}
    return _Known(identifiability(found.law, found.parameters, part), any(falls_fast(one) for one in histories))


def _lost(whole: _Known, part: _Known) -> list[str]:
    """What all rows determine and a part of them does not: parameters, and how the loss follows a fast fall."""
    fall = ["a fast fall of the LR"] if whole.fast and not part.fast else []
    return [name for name in part.undetermined if name not in whole.undetermined] + fall


def falls_fast(history: History) -> bool:
    """Whether the LR of PT or of CPT falls by a share of its peak within a share of the steps (`FAST`)."""
    switch = history.pretraining_steps
    return any(_falls_fast(part) for part in (history.forward[:switch], history.forward[switch:]) if len(part))


def _falls_fast(lr: Array) -> bool:
    share, within = FAST
    far = max(int(within * len(lr)), 1)
    return bool(np.max(lr[:-far] - lr[far:], initial=0.0) >= share * lr.max())


def _held_out(name: str, n_rows: int, error: Array, refit: Fit, known: _Known, found: Fit, lost: list[str]) -> HeldOut:
    return HeldOut(
        group=name,
        n_rows=n_rows,
        n_heldout=len(error),
        mean_error=float(np.abs(error).mean()),
        worst_error=float(np.abs(error).max()),
        bias=float(error.mean()),
        end_error=float(error[-1]),
        parameters=refit.parameters,
        combinations=_without(refit, known.fit.undetermined),
        undetermined=known.undetermined,
        warnings=[line for line in refit.warnings if line not in found.warnings],
        spread=np.quantile(np.abs(error), QUANTILES, method="higher").tolist(),
        lost=lost,
    )


def _without(refit: Fit, lost: list[str]) -> dict[str, float]:
    """The combinations of a fit, NaN where a parameter without any effect on the rows takes part."""
    moved = {name: value * 2 + 1 if name in lost else value for name, value in refit.parameters.items()}
    after = refit.law.combinations(moved)
    return {name: value if after[name] == value else np.nan for name, value in refit.combinations.items()}


def _pooled(errors: list[Array]) -> dict[str, float]:
    rows = np.concatenate(errors)
    return {
        "n": float(len(rows)),
        "mean_error": float(np.abs(rows).mean()),
        "worst_error": float(np.abs(rows).max()),
        "bias": float(rows.mean()),
        "end_error": float(np.mean([abs(error[-1]) for error in errors])),
    }


def band(errors: Array, level: float) -> Band:
    """The half-width that a further error like `errors`, sizes of some [n], stays within (see `intervals`)."""
    n = len(errors)
    rank = int(np.ceil((n + 1) * level - 1e-9))
    if rank <= n:
        return Band(float(np.sort(errors)[rank - 1]), level, True)
    if not n:
        return Band(np.nan, level, False)
    from scipy.stats import t

    student = float(t.ppf((1 + level) / 2, n) * np.sqrt(np.mean(errors**2)))
    return Band(max(float(errors.max()), student), level, False)


def row_band(spreads: Array, level: float) -> Band:
    """The half-width for single rows from those of left-out curves, `HeldOut.spread` of each, [n, k] (`intervals`)."""
    if not len(spreads):
        return Band(np.nan, level, False)
    return Band(float(np.quantile(spreads, level, method="inverted_cdf")), level, True)


def bands_of(curves: Sequence[HeldOut], level: float) -> dict[str, Band]:
    """Bands for the mean, the end and single rows of a curve, from the curves left out that lose nothing."""
    counted = [curve for curve in curves if not curve.lost]
    return {
        "mean": band(np.array([curve.mean_error for curve in counted]), level),
        "end": band(np.array([abs(curve.end_error) for curve in counted]), level),
        "rows": row_band(np.array([curve.spread for curve in counted]), level),
    }


def _values(curves: list[HeldOut], name: str) -> list[float] | str:
    """A parameter in every refit, or which group's removal leaves it undetermined."""
    lost = [curve.group for curve in curves if name in curve.undetermined]
    if lost:
        return f"not determined without {', '.join(lost)}"
    return [curve.parameters[name] for curve in curves]


def _combined(curves: list[HeldOut], name: str) -> list[float] | str:
    """A combination in every refit, or which group's removal leaves it undetermined."""
    lost = [curve.group for curve in curves if np.isnan(curve.combinations[name])]
    return f"not determined without {', '.join(lost)}" if lost else [curve.combinations[name] for curve in curves]


def _jackknife(estimate: float, values: list[float] | str, log: bool, level: float) -> Interval:
    """Delete-one jackknife (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 11)."""
    if isinstance(values, str):
        return Interval(estimate, np.nan, np.nan, np.nan, 0, values)
    return _t_interval(estimate, values, log, level, lambda v: float(v.std() * np.sqrt(len(v) - 1)))


def _over_seeds(values: list[float], log: bool, level: float) -> Interval:
    """The mean over seeds (geometric where `log`), and its t interval."""
    centre = float(np.exp(np.mean(np.log(values)))) if log else float(np.mean(values))
    return _t_interval(centre, values, log, level, lambda v: float(v.std(ddof=1) / np.sqrt(len(v))))


def _t_interval(
    estimate: float, values: list[float], log: bool, level: float, error: Callable[[Array], float]
) -> Interval:
    """estimate +- t * standard error; on the logarithmic scale it is exp(log(estimate) +- ...)."""
    if len(values) < 2:
        return Interval(estimate, np.nan, np.nan, np.nan, len(values), "there is only one value")
    from scipy.stats import t

    sd = error(np.log(values) if log else np.array(values))
    half = float(t.ppf((1 + level) / 2, len(values) - 1)) * sd
    if log:
        return Interval(estimate, estimate * np.exp(-half), estimate * np.exp(half), estimate * sd, len(values))
    return Interval(estimate, estimate - half, estimate + half, sd, len(values))


def _inside(law: Law, found: dict[str, Interval]) -> dict[str, Interval]:
    """The intervals cut off at 0 where a coefficient cannot cross it."""
    result = {}
    for p in law.parameters:
        i = found[p.name]
        low, high = (p.lower, p.upper) if p.linear else (-np.inf, np.inf)
        lower, upper = (float(np.clip(limit, low, high)) for limit in (i.lower, i.upper))
        result[p.name] = replace(i, lower=lower, upper=upper)
    return result


def _no_seeds(level: float, reason: str) -> SeedIntervals:
    return SeedIntervals(level, [], [], {}, {}, [], reason)


def relative_jacobian(law: Law, parameters: Mapping[str, float], features: Any) -> Array:
    """Derivatives of the fitted quantity, the log of the loss or a difference: [n, number of parameters]."""
    jacobian = law.jacobian(parameters, features)
    return jacobian / law.predict(parameters, features)[:, None] if law.residual == "log" else jacobian


def _invariant(law: Law, parameters: Mapping[str, float], moves: Mapping[str, float], names: list[str]) -> str:
    """What two parameters keep while they move along a direction; "" for other numbers of them."""
    if len(names) != 2 or not all(parameters[name] for name in names):
        return ""
    a, b = names
    together = any({a, b} <= {t.coefficient.name, *(p.name for p in t.shape)} for t in law.terms)
    if together:  # a coefficient and a shape of one term, or two of its shapes
        power = -(moves[a] / parameters[a]) / (moves[b] / parameters[b])
        shown = b if abs(power - 1) < SAME else f"{b}^{power:.2g}"
        return f" (only {a}*{shown})"
    ratio = -moves[a] / moves[b]
    return f" (only {a} {'+' if ratio > 0 else '-'} {abs(ratio):.3g}*{b})"


def _determined(law: Law, parameters: Mapping[str, float], moves: Mapping[str, float], names: list[str]) -> list[str]:
    """The law's combinations that hardly change along a direction, though its parameters would change them."""
    largest = max((abs(moves[name] / parameters[name]) for name in names if parameters[name]), default=0.0)
    if not largest:
        return []
    steps = {name: 1e-6 / largest * moves[name] for name in names}
    before = law.combinations(parameters)

    def change(moved: list[str]) -> dict[str, float]:
        near = {name: value + (steps[name] if name in moved else 0.0) for name, value in parameters.items()}
        return {name: abs(value - before[name]) for name, value in law.combinations(near).items()}

    alone, together = [change([name]) for name in names], change(names)
    return [name for name, size in together.items() if size < KEPT * sum(single[name] for single in alone)]
