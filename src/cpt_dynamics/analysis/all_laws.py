"""Every law of the kit that can read the runs, fitted to several schedules and tested on others."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, SIGNS
from cpt_dynamics.figures.kit.statistics import mean_test
from cpt_dynamics.files import plain
from cpt_dynamics.fitting.comparison import compare, seen
from cpt_dynamics.laws import LAWS, Law, get

LAW = "cpt"  # what the others are compared with
# Laws that read a column which more than one choice makes: law -> name here -> the choice.
WEIGHTED = {"cpt_lr_weighted": {"cpt_lr_weighted_01": 0.1, "cpt_lr_weighted_02": 0.2}}
MIXED = ("share", "injected", "initial_loss", "early_decline")  # features of runs with several mixtures or domains


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Errors of every law on the CPT rows of the held-out runs, on both validation sets.

    `sets.<role>.laws.<law>`: parameters, `objective` (sum of Huber terms over the fitted rows), the mean relative
    error by held-out run (`runs`) and over all their rows (`error`), R2 over all rows (`r2`), the error in units of
    the relative seed noise of a final loss (`over_noise`, from `fits["seeds"]`, None without it), and its `rank`.
    Rows that a held-out run shares with a fitted one count in neither. `difference`: the error minus that of Eq. 4,
    one value a held-out run; these share coefficients and the start of their training, so its interval is too
    narrow. `better_fit` has the law with the lowest objective. `not_applicable`: the other laws, with the reason.
    """
    entry = selection.entry(experiments, "comparison")
    if not entry.heldout:
        raise UserError(f"{config.stated_in}: comparison has no held-out runs: list them under `heldout`")
    chosen = selection.of_runs(curves, list(dict.fromkeys([*entry.runs, *entry.heldout])))
    features = selection.with_replay(selection.with_areas(chosen, schedules, config), experiments, config)
    reasons = {name: _unfit(law, features) for name, law in LAWS.items()}
    noise = _noise(fits)
    sets = {role: _of_set(features, schedules, config, entry, role, reasons, noise[role]) for role in SETS}
    return plain(
        {
            "figure": "comparison",
            "title": entry.title,
            "fitted_runs": list(entry.runs),
            "heldout_runs": list(entry.heldout),
            "validations": selection.roles(config),
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "first_step": config.law.first_step,
            "not_applicable": {name: reason for name, reason in reasons.items() if reason},
            "noise_relative": noise,
            "seconds": sum(law["seconds"] for found in sets.values() for law in found["laws"].values()),
            "sets": sets,
        }
    )


def _unfit(law: Law, features: pd.DataFrame) -> str:
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
    features: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    entry: Any,
    role: str,
    reasons: Mapping[str, str],
    noise: float | None,
) -> dict[str, Any]:
    """The comparison on one validation set."""
    validation = selection.roles(config)[role]
    train = selection.to_fit(features, schedules, list(entry.runs), validation, config.law.first_step)
    tests = selection.continual(features, list(entry.heldout), validation)
    rows = pd.concat([train.table, tests])
    rows.attrs = features.attrs
    # A run all of whose rows another fitted one has is no run of the table any more.
    fitted = [run for run in entry.runs if run in set(train.table["run"])]
    laws: dict[str, Law] = {}
    tables: dict[str, pd.DataFrame] = {}
    for name, law in LAWS.items():
        for label, power in WEIGHTED.get(name, {name: None}).items():
            if not reasons[name]:
                laws[label] = get(law.name, SIGNS[role])
                tables[label] = rows if power is None else _weighted(rows, schedules, config, power)
    compared = compare(laws, tables, fitted, list(entry.heldout), "continual")
    unseen = tests[~seen(tests, train.table)]
    found = {name: _scored(one, unseen, noise) for name, one in compared["laws"].items()}
    ranked = sorted((name for name in found if found[name]["error"] is not None), key=lambda name: found[name]["error"])
    for name, one in found.items():
        one["rank"] = ranked.index(name) + 1 if name in ranked else None
        one["n_parameters"] = len(laws[name].parameters)
        one["shift"] = any(term.inputs == ("s1cpt",) for term in laws[name].terms)
        one["difference"] = None if name == LAW else _difference(one["runs"], found[LAW]["runs"])
    return {
        "validation": validation,
        "rows": train.counts(),
        "heldout_rows": {"all": len(tests), "unseen": len(unseen)},
        "best": ranked[0] if ranked else None,
        "better_fit": min(found, key=lambda name: found[name]["objective"]),
        "laws": found,
    }


def _weighted(rows: pd.DataFrame, schedules: pd.DataFrame, config: Config, power: float) -> pd.DataFrame:
    """The same rows with annealing areas weighted by another power of the LR (Eq. 9)."""
    from cpt_dynamics import curves as tables

    law = config.law
    areas = tables.features(rows, schedules, law.lambda_, law.warmup, law.carry_over, lr_power=power)
    result = areas.assign(replay=rows["replay"])
    result.attrs = areas.attrs
    return result


def _scored(one: Mapping[str, Any], unseen: pd.DataFrame, noise: float | None) -> dict[str, Any]:
    """What is kept of a law of `compare`: errors on unseen rows, by run and over all of them."""
    errors = {run: kinds["unseen"] for run, kinds in one["runs"].items()}
    pooled = _pooled([e for e in errors.values() if e["n"]], unseen["loss"].to_numpy())
    error = pooled.get("mean_relative_error")
    return {
        "law": one["law"],
        "source": one["source"],
        "parameters": one["parameters"],
        "objective": one["objective"],
        "r2_fitted": one["train"].get("r2"),
        "error": error,
        "worst": pooled.get("worst_relative_error"),
        "r2": pooled.get("r2"),
        "runs": {run: e.get("mean_relative_error") for run, e in errors.items()},
        "r2_runs": {run: e.get("r2") for run, e in errors.items()},
        "over_noise": error / noise if error is not None and noise else None,
        "converged": one["converged"],
        "n_starts": one["n_starts"],
        "n_agree": one["n_agree"],
        "seconds": one["seconds"],
        "fit": one["fit"],
    }


def _pooled(errors: list[dict[str, float]], observed: np.ndarray) -> dict[str, float]:
    """Errors over the rows of all runs, from those of each run; observed: all their losses, [n]."""
    n = sum(e["n"] for e in errors)
    if not n:
        return {}
    spread = float(np.sum((observed - observed.mean()) ** 2))
    squares = sum(e["n"] * e["rmse"] ** 2 for e in errors)
    return {
        "mean_relative_error": sum(e["n"] * e["mean_relative_error"] for e in errors) / n,
        "worst_relative_error": max(e["worst_relative_error"] for e in errors),
        **({"r2": 1 - squares / spread} if spread > 0 else {}),
    }


def _difference(one: Mapping[str, float | None], other: Mapping[str, float | None]) -> dict[str, Any]:
    """`statistics.mean_test` of the error of a law minus that of Eq. 4 over the held-out runs."""
    pairs = [(a, other[run]) for run, a in one.items()]
    return mean_test([a - b for a, b in pairs if a is not None and b is not None], "held-out run").model_dump()


def _noise(fits: Mapping[str, Any] | None) -> dict[str, float | None]:
    """Standard deviation of a final loss over seeds, relative to it, by role; None where it is not known."""
    found = (fits or {}).get("seeds", {}).get("noise_relative", {})
    return {role: found.get(role) for role in SETS}
