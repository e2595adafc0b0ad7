"""Figure 18: CPT of a model whose pre-training counts as unknown (arXiv 2505.07796, open-source models)."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.areas import areas
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.figures.kit import published, selection
from cpt_dynamics.figures.kit.joint import Joint, errors
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit, fit
from cpt_dynamics.fitting.comparison import seen
from cpt_dynamics.laws import Law, get

STARTS = 30  # of the search: the law has several valleys on noisy losses
KEPT = ("n", "r2", "mean_relative_error", "worst_relative_error", "mae", "rmse")
# What may be fitted to each set; the lowest Huber sum on the fitted rows decides. On a set that stands for D_pt the
# paper's own fits need B < 0 with beta < 0 (the growing form); without it B may have either sign. On D_cpt B < 0.
FORMS: dict[str, dict[str, Law]] = {
    "proxy": {"bounded": get("cpt_unknown"), "growing": get("cpt_unknown_growing")},
    "strong": {"bounded": get("cpt_unknown", "negative")},
    "general": {"bounded": get("cpt_unknown"), "growing": get("cpt_unknown_growing")},
}


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The law with S1pt as a parameter, fitted to the CPT losses of short runs and compared with a longer one.

    Nothing of pre-training enters: its rows are dropped, there is no S2pt term, and the LR before CPT counts as zero.
    All CPT rows are used, from the first one on. Sets: `proxy` (the first out-of-domain corpus, or the one of weak
    shift, in place of D_pt), `strong` (D_cpt, the corpus that CPT reads), and `general`, the true D_pt, where the runs
    begin with pre-training, which users of such a model do not have.

    `heldout`: errors on the rows of the held-out runs that no fitted run shares (runs of one schedule share its start);
    `heldout_all`: on all their CPT rows. Baselines on the same rows: `s1_only` (the law without S2, fitted to the same
    rows) and `last_value` (the last loss of the longest fitted run). `forms`: every form that was tried.
    """
    entry = selection.entry(experiments, "fig18")
    if not entry.heldout:
        raise UserError(f"{config.stated_in}: fig18 has no held-out runs: list them under `heldout`")
    runs = [*entry.runs, *entry.heldout]
    features, plans = unknown(curves, schedules, config, runs)
    longest = max(entry.runs, key=lambda run: experiments.runs[run].steps)
    sets = {}
    held_out = validations(config, [experiments.runs[run] for run in runs])
    for role, validation in held_out.items():
        fitted = selection.to_fit(features, plans, list(entry.runs), validation, first_step=0)
        every = selection.to_fit(features, plans, list(entry.heldout), validation, first_step=0).table
        unseen = every[~seen(every, fitted.table)]
        tried = {form: Joint(_fit(law, fitted.table), fitted, role, validation) for form, law in FORMS[role].items()}
        form = min(tried, key=lambda name: tried[name].fit.objective)
        s1_only = _fit(_baseline(tried[form].fit.law), fitted.table)
        last = fitted.table[fitted.table["run"] == longest].sort_values("step")["loss"].iloc[-1]
        heldout, without = _errors(tried[form].fit, unseen), _errors(s1_only, unseen)
        naive = _constant(float(last), unseen)
        sets[role] = {
            **tried[form].summary(),
            "form": form,
            "combinations": tried[form].fit.combinations,
            "fitted": _errors(tried[form].fit, fitted.table),
            "heldout": heldout,
            "heldout_all": _errors(tried[form].fit, every),
            "s1_only": {"heldout": without, "parameters": s1_only.parameters, "fit": s1_only.to_json()},
            "last_value": {"loss": float(last), "heldout": naive},
            "over_s1_only": _over(heldout, without),
            "over_last_value": _over(heldout, naive),
            "forms": {
                name: {
                    "parameters": one.fit.parameters,
                    "huber_sum": one.fit.objective,
                    "heldout": _errors(one.fit, unseen),
                }
                for name, one in tried.items()
            },
            "heldout_rows": {"unseen": len(unseen), "all": len(every)},
            "first_step_fitted": int(fitted.table["step"].min()),
        }
    return plain(
        {
            "figure": "fig18",
            "title": entry.title,
            "fitted_runs": list(entry.runs),
            "heldout_runs": list(entry.heldout),
            "validations": held_out,
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "n_starts": STARTS,
            "true_s1pt": {
                run: _s1pt(experiments.runs[run], config)
                for run in runs
                if selection.transfer_step(experiments.runs[run])
            },
            "published": _published(),
            "sets": sets,
        }
    )


def validations(config: Config, runs: Iterable[Run]) -> dict[str, str]:
    """The sets of the figure by their part in it; runs without one corpus of CPT in common raise `UserError`."""
    phases = [phase for run in runs for phase in run.phases]
    read = {name for phase in phases if phase.phase == "continual" for name, _ in phase.mixture}
    domains = sorted(read - {config.roles.general})
    if len(domains) != 1:
        said = " and ".join(domains) or "no domain corpus"
        raise UserError(f"{config.stated_in}: the runs of fig18 continue on {said}: list runs that continue on one")
    proxy = [*config.roles.out_of_domain, config.roles.weak][0]
    sets = {"proxy": proxy, "strong": domains[0]}
    known = any(phase.phase == "pretraining" for phase in phases)
    return {**sets, "general": config.roles.general} if known else sets


def unknown(
    curves: pd.DataFrame, schedules: pd.DataFrame, config: Config, runs: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """CPT rows of some runs with their areas, and the schedules of CPT, both as if nothing had been before.

    Steps count from 1 at the first step of CPT and the LR before it is zero, so that s1pt and s2pt are zero.
    """
    rows, plans = selection.of_runs(curves, runs), selection.of_runs(schedules, runs, "schedules")
    rows, plans = rows[rows["phase"] == "continual"], plans[plans["phase"] == "continual"]
    for run in runs:
        if not (rows["run"] == run).any():
            raise UserError(f"run {run!r} of fig18 has no losses after a transfer: list runs with a continual phase")
    rows = rows.assign(step=rows["phase_step"]).reset_index(drop=True)
    plans = plans.assign(step=plans.groupby("run", sort=False).cumcount() + 1).reset_index(drop=True)
    return selection.with_areas(rows, plans, config), plans


def _fit(law: Law, rows: pd.DataFrame) -> Fit:
    return fit(law, rows, rows["loss"], n_starts=STARTS)


def _baseline(law: Law) -> Law:
    """The law without S2, with B bounded as in `law`."""
    bounds = {p.name: (p.lower, p.upper) for p in law.parameters}
    return get(law.baseline).bounded(B=bounds["B"])


def _errors(found: Fit, rows: pd.DataFrame) -> dict[str, Any]:
    """Errors of a fit on rows; None where there is no row."""
    measured = errors(found, rows)
    return {key: measured.get(key) for key in KEPT}


def _constant(value: float, rows: pd.DataFrame) -> dict[str, Any]:
    """Relative errors of one loss as the prediction of all rows."""
    relative = np.abs(value / rows["loss"].to_numpy() - 1)
    if not len(relative):
        return {"n": 0, "mean_relative_error": None, "worst_relative_error": None}
    return {
        "n": len(relative),
        "mean_relative_error": float(relative.mean()),
        "worst_relative_error": float(relative.max()),
    }


def _over(one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    """Mean relative error over that of a baseline."""
    above, below = one.get("mean_relative_error"), other.get("mean_relative_error")
    return above / below if above is not None and below else None


def _s1pt(run: Run, config: Config) -> float:
    """The forward area of pre-training that the fit does not see."""
    before = selection.transfer_step(run)
    return float(areas(run.lr, before, config.law.lambda_, config.law.warmup).s1pt[-1])


def _published() -> list[dict[str, Any]]:
    """The printed fits of the two open-source models."""
    return [
        {"setting": item.setting, "role": item.role, "validation": item.validation, "parameters": item.parameters}
        for item in published.load()
        if item.figure == "fig18"
    ]
