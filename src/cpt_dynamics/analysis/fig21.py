"""Figure 21: losses on out-of-domain sets as linear combinations of the D_pt and the D_cpt loss (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, FigureEntry
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.files import plain
from cpt_dynamics.fitting.comparison import seen
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import OodFit, fit_ood

SINGLE = ("general", "domain")  # the two losses, each of which predicts by itself for comparison


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Eq. 6 on every out-of-domain set: weights from the CPT losses of `runs`, errors on those of `heldout`.

    Sets: the out-of-domain corpora, and the corpus of weak shift unless a run of the figure trains on it. Errors are
    absolute (nats/token); a mean of a set averages the rows of each held-out run first, then the runs. `single` has
    the models w*L_Dpt and w*L_Dcpt, fitted to the same rows, and `gain` the error of Eq. 6 over that of the one of
    them with the smaller error. `intercept` is Eq. 6 with a constant, which the paper does not have. `change` is the
    loss at the end of CPT minus that before it, a mean over all runs with CPT.
    """
    entry = selection.entry(experiments, "fig21")
    if not entry.heldout:
        raise UserError(f"{config.stated_in}: fig21 has no held-out runs: list them under `heldout`")
    curves = selection.of_runs(curves, experiments.runs_of("fig21"))
    found = {}
    for name in sets(config, experiments, entry):
        fitted, heldout = losses(curves, config, entry, experiments, name)
        found[name] = {**_set(fitted, heldout), "change": change(curves, experiments, entry, name)}
    return plain(
        {
            "figure": "fig21",
            "title": entry.title,
            "fitted_runs": _moved(experiments, entry.runs),
            "heldout_runs": _moved(experiments, entry.heldout),
            "validations": selection.roles(config),
            "sets": found,
        }
    )


def sets(config: Config, experiments: Experiments, entry: FigureEntry) -> list[str]:
    """Validation sets that no run of the figure trains on: the out-of-domain ones and that of weak shift."""
    runs = [experiments.runs[run] for run in (*entry.runs, *entry.heldout)]
    trained = {corpus for run in runs for phase in run.phases for corpus, _ in phase.mixture}
    names = dict.fromkeys([*config.roles.out_of_domain, config.roles.weak])
    return [name for name in names if name not in {*trained, *selection.roles(config).values()}]


def losses(
    curves: pd.DataFrame, config: Config, entry: FigureEntry, experiments: Experiments, name: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """CPT losses of the fitted and of the held-out runs on the set `name`: columns as in `aligned`.

    A row is a step at which all three sets were measured. Rows of held-out runs that a fitted run has too (the same
    step and loss) are left out.
    """
    fitted = aligned(curves, config, _moved(experiments, entry.runs), name)
    heldout = aligned(curves, config, _moved(experiments, entry.heldout), name)
    shared = seen(heldout.rename(columns={"ood": "loss"}), fitted.rename(columns={"ood": "loss"}))
    return fitted, heldout[~shared]


def aligned(curves: pd.DataFrame, config: Config, runs: list[str], name: str) -> pd.DataFrame:
    """The CPT losses of some runs on D_pt (`general`), D_cpt (`domain`) and the set `name` (`ood`), by run and step."""
    index = ["run", "step", "phase_step"]
    wanted = {"general": config.roles.general, "domain": config.roles.strong, "ood": name}
    columns = []
    for column, validation in wanted.items():
        rows = selection.continual(curves, runs, validation)
        if not len(rows):
            raise UserError(f"curves have no CPT losses on the validation set {validation!r}: evaluate it")
        columns.append(rows.set_index(index)["loss"].rename(column))
    table = pd.concat(columns, axis=1, join="inner").reset_index()
    if not len(table):
        raise UserError(f"{', '.join(wanted.values())} are never measured at the same step: evaluate them together")
    return table.sort_values(["run", "step"], kind="stable", ignore_index=True)


def change(curves: pd.DataFrame, experiments: Experiments, entry: FigureEntry, name: str) -> dict[str, Any]:
    """Last loss of CPT minus the last one before it, by run and as a mean; `rises` where the mean is above 0."""
    runs = {}
    for run in _moved(experiments, list(dict.fromkeys([*entry.runs, *entry.heldout]))):
        rows = selection.of_runs(curves, [run])
        rows = rows[rows["validation"] == name].sort_values("step")
        after = rows["phase"] == "continual"
        before = rows.loc[~after, "loss"] if (~after).any() else rows.loc[after, "loss"].head(1)
        runs[run] = float(rows.loc[after, "loss"].iloc[-1] - before.iloc[-1])
    mean = float(np.mean(list(runs.values())))
    return {"mean": mean, "rises": mean > 0, "runs": runs}


def predicted(found: Mapping[str, Any], rows: pd.DataFrame) -> Array:
    """The loss by Eq. 6 with the stored weights of a set, [n], from the columns `general` and `domain`."""
    weights = found["weights"]
    return np.asarray(weights["general"] * rows["general"] + weights["domain"] * rows["domain"], dtype=np.float64)


def _moved(experiments: Experiments, runs: list[str]) -> list[str]:
    """Those of the runs that have CPT."""
    found = [run.name for run in selection.transfers(experiments, runs)]
    if not found:
        raise UserError("no run of fig21 has losses after a transfer: list runs with a continual phase")
    return found


def _set(fitted: pd.DataFrame, heldout: pd.DataFrame) -> dict[str, Any]:
    """Everything about one set but its change."""
    plain_form, with_intercept = fit_ood(fitted), fit_ood(fitted, intercept=True)
    errors = _errors(heldout, plain_form.predict(heldout["general"], heldout["domain"]))
    other = _errors(heldout, with_intercept.predict(heldout["general"], heldout["domain"]))
    single = {name: _single(fitted, heldout, name) for name in SINGLE}
    better = min(SINGLE, key=lambda name: float(single[name]["mean_absolute_error"]))
    return {
        **_weights(plain_form),
        "heldout": errors,
        "single": single,
        "better_single": better,
        "gain": _over(errors["mean_absolute_error"], single[better]["mean_absolute_error"]),
        "intercept": {
            **_weights(with_intercept),
            "heldout": {key: value for key, value in other.items() if key != "runs"},
            "gain": _over(other["mean_absolute_error"], errors["mean_absolute_error"]),
        },
        "rows": {"fitted": len(fitted), "heldout": len(heldout)},
    }


def _weights(found: OodFit) -> dict[str, Any]:
    """Weights with their intervals and the errors on the fitted rows."""
    intercept = {"intercept": found.intercept} if found.intercept else {}
    weights = {"general": found.w_general, "domain": found.w_domain, **intercept}
    return {
        "weights": weights,
        "parameters": weights,
        "intervals": found.intervals,
        "interval_reason": found.interval_reason,
        "level": found.level,
        "r2": found.r2,
        "r2_continual": found.r2,  # all rows are of CPT
        "mean_absolute_error": found.mean_absolute_error,
        "worst_absolute_error": found.worst_absolute_error,
        "left_out_mean_absolute_error": found.held_out_mean_absolute_error,
        "n_runs": found.n_runs,
    }


def _single(fitted: pd.DataFrame, heldout: pd.DataFrame, name: str) -> dict[str, Any]:
    """The model w*L with one of the two losses, w by least squares."""
    x, y = fitted[name].to_numpy(dtype=np.float64), fitted["ood"].to_numpy(dtype=np.float64)
    weight = float(x @ y / (x @ x))
    found = _errors(heldout, weight * heldout[name].to_numpy(dtype=np.float64))
    return {"weight": weight, **{key: value for key, value in found.items() if key != "runs"}}


def _errors(rows: pd.DataFrame, values: Array) -> dict[str, Any]:
    """Absolute errors of a prediction [n] by run, their mean over runs, the largest one, and R2 over all rows."""
    observed = rows["ood"].to_numpy(dtype=np.float64)
    error = np.abs(values - observed)
    runs = {
        str(run): {
            "mean": float(error[at].mean()),
            "worst": float(error[at].max()),
            "steps": rows["phase_step"].to_numpy()[at],
            "absolute_errors": error[at],
        }
        for run, at in rows.groupby("run", sort=False).indices.items()
    }
    spread = float(np.sum((observed - observed.mean()) ** 2)) if len(observed) else 0.0
    return {
        "mean_absolute_error": float(np.mean([run["mean"] for run in runs.values()])) if runs else None,
        "worst_absolute_error": float(error.max()) if len(error) else None,
        "r2": 1 - float(np.sum(error**2)) / spread if spread else None,
        "runs": runs,
    }


def _over(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None
