"""Figure 19: Eq. 8 fitted jointly to CPT at all replay ratios (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, SIGNS, Joint, errors, fitted, relative
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import fit
from cpt_dynamics.laws import Law, get

# By role: Eq. 8 as printed, with the growths of its two shifts exchanged, and with r_pt in the annealing of D_cpt.
VARIANTS = {
    "general": {"printed": "cpt_replay_general", "exchanged": "cpt_replay_general_convex"},
    "strong": {
        "printed": "cpt_replay_domain",
        "exchanged": "cpt_replay_domain_saturating",
        "r_pt": "cpt_replay_domain_rpt",
    },
}
LEFT_OUT = ("printed", "exchanged")  # forms that each ratio is predicted with from the others
STARTS = 3  # of each of the many fits without one ratio
KEPT = ("n", "r2", "mean_relative_error", "worst_relative_error", "mae", "rmse")


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One fit of each form of Eq. 8 to all replay ratios for each validation set.

    `fits` holds, by role and form, the fit with its errors on the CPT rows of each ratio (`ratios`); for the
    printed and the exchanged form also the mean relative error on the CPT rows of each ratio that was left out of
    the fit (`left_out`, its mean and its worst over the ratios beside it). Ratios are shares of D_pt, as text.

    `r_pt` is the printed form for D_cpt with r_pt for r_cpt in the annealing factor. As a1 may have either sign,
    both are one law: C2*exp(a1) and -a1 of one are C2 and a1 of the other, so that they cannot be told apart by
    a fit, and only the sign of a1 says which of the two the data ask for.
    """
    entry = selection.entry(experiments, "fig19")
    by_ratio = _by_ratio(experiments, config, list(entry.runs))
    if len(by_ratio) < 2:
        raise UserError(f"{config.stated_in}: fig19 fits several replay ratios and has {len(by_ratio)}: list more")
    areas = selection.with_areas(selection.of_runs(curves, list(entry.runs)), schedules, config)
    features = selection.with_replay(areas, experiments, config)
    result: dict[str, dict[str, Any]] = {}
    for role in SETS:
        result[role] = {}
        for form, name in VARIANTS[role].items():
            law = get(name, SIGNS[role])
            found = fitted(features, schedules, config, list(entry.runs), role, law)
            result[role][form] = {**found.summary(), "ratios": _by_ratio_errors(found, features, by_ratio)}
            if form in LEFT_OUT:
                result[role][form] |= _left_out(features, schedules, config, role, law, by_ratio)
    return plain(
        {
            "figure": "fig19",
            "title": entry.title,
            "runs": list(entry.runs),
            "ratios": {_text(ratio): runs for ratio, runs in by_ratio.items()},
            "schedules": _by_schedule(experiments, by_ratio),
            "validations": selection.roles(config),
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "first_step": config.law.first_step,
            "fits": result,
        }
    )


def _text(ratio: float) -> str:
    """A replay ratio as a key: "0", "0.33", "1"."""
    return f"{ratio:g}"


def _by_ratio(experiments: Experiments, config: Config, runs: list[str]) -> dict[float, list[str]]:
    """The CPT runs at each replay ratio, ascending."""
    found: dict[float, list[str]] = {}
    for run in selection.transfers(experiments, runs):
        share = dict(run.phases[-1].mixture).get(config.roles.general, 0.0)
        found.setdefault(share, []).append(run.name)
    return dict(sorted(found.items()))


def _by_schedule(experiments: Experiments, by_ratio: dict[float, list[str]]) -> list[dict[str, str]]:
    """The CPT runs that have one LR in every step, by ratio: an item for each LR schedule."""
    found: dict[bytes, dict[str, str]] = {}
    for ratio, runs in by_ratio.items():
        for run in runs:
            found.setdefault(experiments.runs[run].lr.tobytes(), {}).setdefault(_text(ratio), run)
    return list(found.values())


def _by_ratio_errors(found: Joint, features: pd.DataFrame, by_ratio: dict[float, list[str]]) -> dict[str, Any]:
    """Errors of a fit on the CPT rows of each ratio."""
    result = {}
    for ratio, runs in by_ratio.items():
        measured = errors(found.fit, selection.continual(features, runs, found.validation))
        result[_text(ratio)] = {key: measured.get(key) for key in KEPT}
    return result


def _left_out(
    features: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    role: str,
    law: Law,
    by_ratio: dict[float, list[str]],
) -> dict[str, Any]:
    """Mean relative errors on the CPT rows of each ratio, predicted by a fit to the runs of the others."""
    validation = config.corpus_of(role)
    runs = list(dict.fromkeys(features["run"]))
    found = {}
    for ratio, out in by_ratio.items():
        rest = [run for run in runs if run not in out]
        rows = selection.to_fit(features, schedules, rest, validation, config.law.first_step).table
        without = fit(law, rows, rows["loss"], n_starts=STARTS)
        found[_text(ratio)] = relative(without, selection.continual(features, out, validation))
    values = list(found.values())
    return {"left_out": found, "left_out_mean": np.mean(values), "left_out_worst": np.max(values)}
