"""Laws fitted to some runs and tested on others, side by side."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpt_dynamics.errors import UserError
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit, average, fit, measure, stack
from cpt_dynamics.laws import Array, Law
from cpt_dynamics.laws.base import HISTORY

AVERAGED = ("r2", "mae", "rmse", "mean_relative_error", "worst_relative_error")
MERGE = 8  # neighbouring steps of a falling LR that are one change while a law of changes is searched
CHANGES = 3000  # of the LR of a run that a fit counts; a run has as many steps, or neighbouring ones are one
COARSE_CHANGES = 400
COARSE_STARTS = 6
COARSE_SCREEN = 96

FeaturesOf = pd.DataFrame | Mapping[str, pd.DataFrame] | Callable[[str], pd.DataFrame]


@dataclass(frozen=True)
class Given:
    """A law whose parameters are known, so that it is not fitted; `source` says from where."""

    law: Law
    parameters: Mapping[str, float]
    source: str


@dataclass(frozen=True)
class Averaged:
    """Several laws, each fitted, whose predictions are averaged (see `fitting.average`)."""

    laws: tuple[Law, ...]
    stacked: bool = False


def compare(
    laws: Mapping[str, Law | Given | Averaged],
    features: FeaturesOf,
    fitted_runs: Iterable[str],
    test_runs: Iterable[str],
    phase: str | None = None,
    delta: float = 1e-3,
) -> dict[str, Any]:
    """Fit each law to all rows of the fitted runs and measure its errors on the test runs.

    laws: by a name of one's own, so that one law can stand in it more than once; an `Averaged` one reads the same
    features for all of its laws. features: one table of
    `curves.features` for all, or one for each name (a mapping, or a function of the name), for laws that count the
    warm-up or lambda otherwise; all must hold the same rows, of one validation set. phase: test only rows of
    "pretraining" or "continual".

    Errors (see `fitting.measure`) are given by test run and as unweighted means over the test runs, over `all` of
    their rows and over `unseen` ones: a test run that branches off a fitted one shares its rows before the branch, so
    rows with the step and the loss of a fitted row are left out of these. `rows` counts both. `objective` is the sum of
    Huber terms over the fitted rows, `seconds` the CPU time of the fit, `n_agree` of `n_starts` how many starts of the
    search reached its best objective. JSON-able.
    """
    fitted, tested = list(fitted_runs), list(test_runs)
    rows: dict[str, dict[str, int]] | None = None
    results: dict[str, Any] = {}
    for name, entry in laws.items():
        table = _table(features, name)
        train = _of_runs(table, fitted)
        tests = {run: _of_phase(_of_runs(table, [run]), phase) for run in tested}
        unseen = {run: ~seen(part, train) for run, part in tests.items()}
        counts = {run: {"all": len(tests[run]), "unseen": int(unseen[run].sum())} for run in tested}
        if rows not in (None, counts):
            raise UserError(f"the features of {name!r} have other rows than those before: use the same curves")
        rows = counts
        found = _of_entry(entry, train, delta)
        results[name] = found | _tested(found.pop("predict"), tests, unseen, delta)
    return plain({"fitted_runs": fitted, "test_runs": tested, "phase": phase, "rows": rows or {}, "laws": results})


def seen(rows: pd.DataFrame, train: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows have the step and the loss of a row of `train`, booleans [n]."""
    known = set(zip(train["step"].tolist(), train["loss"].tolist(), strict=True))
    return np.array(
        [row in known for row in zip(rows["step"].tolist(), rows["loss"].tolist(), strict=True)], dtype=bool
    )


def search(law: Law, rows: pd.DataFrame, delta: float = 1e-3) -> tuple[Fit, Fit]:
    """The fit of a law to the losses of `rows`, and the search that it started from (often the fit itself).

    A law that sums over the changes of the LR is slow, so its shapes are searched with changes merged; the best
    ones are then improved with every change counted, which is what the fit's objective is of.
    """
    if HISTORY not in law.inputs:
        found = fit(law, rows, rows["loss"], delta=delta)
        return found, found
    coarse = fit(
        law,
        merged(rows, max(MERGE, _few(rows, COARSE_CHANGES))),
        rows["loss"],
        delta=delta,
        n_starts=COARSE_STARTS,
        n_screen=COARSE_SCREEN,
    )
    starts = [coarse.parameters]
    return fit(law, counted(rows), rows["loss"], delta=delta, n_screen=0, starts=starts), coarse


def counted(rows: pd.DataFrame) -> pd.DataFrame:
    """The same features with as many changes of the LR as a fit counts."""
    return merged(rows, _few(rows, CHANGES))


def _few(rows: pd.DataFrame, most: int) -> int:
    """Steps of a falling LR that are one change, so that no run has more than about `most`.

    The middle of a few steps of thousands stands for them to the second order.
    """
    changes = max(int(np.count_nonzero(past.drops)) for past in rows[HISTORY].unique())
    return max(1, -(-changes // most))


def merged(features: pd.DataFrame, merge: int) -> pd.DataFrame:
    """The same features with neighbouring falls of the LR merged (see `areas.History.events`)."""
    histories = {past: replace(past, merge=merge) for past in features[HISTORY].unique()}
    return features.assign(**{HISTORY: features[HISTORY].map(histories)})


def _of_entry(entry: Law | Given | Averaged, train: pd.DataFrame, delta: float) -> dict[str, Any]:
    if isinstance(entry, Given):
        return _given(entry, train, delta)
    return _averaged(entry, train, delta) if isinstance(entry, Averaged) else _fitted(entry, train, delta)


def _fitted(law: Law, train: pd.DataFrame, delta: float) -> dict[str, Any]:
    found, first = search(law, train, delta)
    return {
        "law": law.name,
        "source": law.source,
        "fitted": True,
        "parameters": found.parameters,
        "objective": found.objective,
        "train": found.metrics["all"],
        "seconds": _seconds(found, first),
        "converged": found.converged,
        "optimality": found.optimality,
        "n_starts": first.n_starts,
        "n_agree": first.n_agree,
        "fit": found.to_json(),
        "predict": found.predict,
    }


def _seconds(found: Fit, first: Fit) -> float:
    """CPU time of a search and of the fit that started from it."""
    return found.cpu_seconds + (first.cpu_seconds if first is not found else 0.0)


def _averaged(entry: Averaged, train: pd.DataFrame, delta: float) -> dict[str, Any]:
    searches = [search(law, train, delta) for law in entry.laws]
    fits = [found for found, _ in searches]
    started = time.process_time()
    mean = stack(fits, train, train["loss"]) if entry.stacked else average(fits)
    seconds = time.process_time() - started
    train_errors = measure(train["loss"].to_numpy(), mean.predict(train), delta)
    return {
        "law": mean.name,
        "source": f"average of {len(fits)} laws, {mean.weighting} weights",
        "fitted": True,
        "parameters": {f"weight of {found.law.name}": w for found, w in zip(fits, mean.weights, strict=True)},
        "objective": train_errors["huber_sum"],
        "train": train_errors,
        "seconds": seconds + sum(_seconds(*pair) for pair in searches),
        "converged": all(found.converged for found in fits),
        "average": mean.to_json(),
        "predict": mean.predict,
    }


def _given(entry: Given, train: pd.DataFrame, delta: float) -> dict[str, Any]:
    def predict(rows: pd.DataFrame) -> Array:
        return entry.law.predict(entry.parameters, rows)

    train_errors = measure(train["loss"].to_numpy(), predict(train), delta)
    return {
        "law": entry.law.name,
        "source": entry.source,
        "fitted": False,
        "parameters": dict(entry.parameters),
        "objective": train_errors["huber_sum"],
        "train": train_errors,
        "seconds": 0.0,
        "predict": predict,
    }


def _tested(
    predict: Callable[[pd.DataFrame], Array],
    tests: dict[str, pd.DataFrame],
    unseen: dict[str, NDArray[np.bool_]],
    delta: float,
) -> dict[str, Any]:
    """Errors by run and their means."""
    runs: dict[str, dict[str, dict[str, float]]] = {}
    for run, part in tests.items():
        observed, predicted, new = part["loss"].to_numpy(), predict(part), unseen[run]
        runs[run] = {
            "all": measure(observed, predicted, delta),
            "unseen": measure(observed[new], predicted[new], delta),
        }
    return {
        "runs": runs,
        "mean": {kind: _mean([errors[kind] for errors in runs.values()]) for kind in ("all", "unseen")},
    }


def _mean(errors: list[dict[str, float]]) -> dict[str, float]:
    """Unweighted means over the runs that have an error; runs without rows have none."""
    columns = {name: [run[name] for run in errors if name in run] for name in AVERAGED}
    return {name: float(np.mean(values)) for name, values in columns.items() if values}


def _table(features: FeaturesOf, name: str) -> pd.DataFrame:
    if isinstance(features, pd.DataFrame):
        table = features
    elif isinstance(features, Mapping):
        if name not in features:
            raise UserError(f"no features are given for {name!r}: add them")
        table = features[name]
    else:
        table = features(name)
    if table["validation"].nunique() > 1:
        raise UserError(f"the features of {name!r} have several validation sets: choose one")
    return table


def _of_runs(table: pd.DataFrame, runs: list[str]) -> pd.DataFrame:
    known = set(table["run"])
    for run in runs:
        if run not in known:
            raise UserError(f"there is no run {run!r} to compare laws on: choose among {', '.join(sorted(known))}")
    return table[table["run"].isin(runs)]


def _of_phase(rows: pd.DataFrame, phase: str | None) -> pd.DataFrame:
    return rows if phase is None else rows[rows["phase"] == phase]
