"""CPT of a model whose pre-training counts as unknown (arXiv 2505.07796, Figure 18, open-source models)."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from cpt_dynamics.areas import areas
from cpt_dynamics.config import Config, Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Run
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig18.result import (
    Form,
    LastValue,
    PrintedFit,
    Result,
    UnknownFit,
    WithoutAnnealing,
)
from cpt_dynamics.figures.kit import published, selection
from cpt_dynamics.figures.kit.comparison import RowNumbers
from cpt_dynamics.figures.kit.joint import Joint, errors
from cpt_dynamics.figures.kit.result import Errors
from cpt_dynamics.fitting import Fit, fit
from cpt_dynamics.fitting.comparison import seen
from cpt_dynamics.laws import Law, get

STARTS = 30  # of the search: the law has several valleys on noisy losses
# What may be fitted to each set; the lowest Huber sum on the fitted rows decides. On a set that stands for D_pt the
# paper's own fits need B < 0 with beta < 0 (the growing form); without it B may have either sign. On D_cpt B < 0.
FORMS: dict[Role, dict[str, Law]] = {
    Role.PROXY: {"bounded": get("cpt_unknown"), "growing": get("cpt_unknown_growing")},
    Role.STRONG: {"bounded": get("cpt_unknown", "negative")},
    Role.GENERAL: {"bounded": get("cpt_unknown"), "growing": get("cpt_unknown_growing")},
}


def analyse(data: FigureData) -> Result:
    """The law with S1pt as a parameter, fitted to the CPT losses of short runs and compared with a longer one.

    Nothing of pre-training enters: its rows are dropped, there is no S2pt term, and the LR before CPT counts as zero.
    All CPT rows are used, from the first one on.
    """
    config, entry = data.config, data.entry
    if not entry.heldout:
        raise UserError(f"{config.stated_in}: fig18 has no held-out runs: list them under `heldout`")
    runs = [data.experiments.runs[run] for run in (*entry.runs, *entry.heldout)]
    features, plans = unknown(data.curves, data.schedules, config, [run.name for run in runs])
    sets = validations(config, runs)
    return Result(
        figure="fig18",
        title=entry.title,
        fitted_runs=entry.runs,
        heldout_runs=entry.heldout,
        validations=sets,
        lambda_=config.law.lambda_,
        carry_over=config.law.carry_over,
        n_starts=STARTS,
        true_s1pt={run.name: _s1pt(run, config) for run in runs if run.transfer_step},
        published=[
            PrintedFit(**item.model_dump(include=set(PrintedFit.model_fields)))
            for item in published.load()
            if item.figure == "fig18"
        ],
        sets={role: _of_set(data, features, plans, role, validation) for role, validation in sets.items()},
    )


def _of_set(data: FigureData, features: pd.DataFrame, plans: pd.DataFrame, role: Role, validation: str) -> UnknownFit:
    """Every form of the law on one set, and both baselines."""
    entry = data.entry
    fitted = selection.to_fit(features, plans, entry.runs, validation, first_step=0)
    every = selection.to_fit(features, plans, entry.heldout, validation, first_step=0).table
    unseen = every[~seen(every, fitted.table)]
    tried = {form: _fit(law, fitted.table) for form, law in FORMS[role].items()}
    form = min(tried, key=lambda name: tried[name].objective)
    chosen = tried[form]
    s1_only = _fit(_baseline(chosen.law), fitted.table)
    longest = max(entry.runs, key=lambda run: data.experiments.runs[run].steps)
    last = float(fitted.table[fitted.table["run"] == longest].sort_values("step")["loss"].iloc[-1])
    heldout, without, naive = _errors(chosen, unseen), _errors(s1_only, unseen), _constant(last, unseen)
    return UnknownFit(
        **dict(Joint(chosen, fitted, role, validation).result()),
        form=form,
        combinations=chosen.combinations,
        fitted=_errors(chosen, fitted.table),
        heldout=heldout,
        heldout_all=_errors(chosen, every),
        s1_only=WithoutAnnealing(heldout=without, parameters=s1_only.parameters, fit=s1_only),
        last_value=LastValue(loss=last, heldout=naive),
        over_s1_only=_over(heldout, without),
        over_last_value=_over(heldout, naive),
        forms={
            name: Form(parameters=one.parameters, huber_sum=one.objective, heldout=_errors(one, unseen))
            for name, one in tried.items()
        },
        heldout_rows=RowNumbers(unseen=len(unseen), all=len(every)),
        first_step_fitted=int(fitted.table["step"].min()),
    )


def validations(config: Config, runs: Iterable[Run]) -> dict[Role, str]:
    """The sets of the figure by their part in it; runs without one corpus of CPT in common raise `UserError`."""
    phases = [phase for run in runs for phase in run.phases]
    read = {name for phase in phases if phase.phase == "continual" for name, _ in phase.mixture}
    domains = sorted(read - {config.roles.general})
    if len(domains) != 1:
        said = " and ".join(domains) or "no domain corpus"
        raise UserError(f"{config.stated_in}: the runs of fig18 continue on {said}: list runs that continue on one")
    proxy = [*config.roles.out_of_domain, config.roles.weak][0]
    sets = {Role.PROXY: proxy, Role.STRONG: domains[0]}
    known = any(phase.phase == "pretraining" for phase in phases)
    return {**sets, Role.GENERAL: config.roles.general} if known else sets


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


def _errors(found: Fit, rows: pd.DataFrame) -> Errors:
    return Errors.of(errors(found, rows))


def _constant(value: float, rows: pd.DataFrame) -> Errors:
    """Relative errors of one loss as the prediction of all rows."""
    relative = np.abs(value / rows["loss"].to_numpy() - 1)
    if not len(relative):
        return Errors(n=0)
    return Errors(n=len(relative), mean_relative_error=relative.mean(), worst_relative_error=relative.max())


def _over(one: Errors, other: Errors) -> float | None:
    """Mean relative error over that of a baseline."""
    above, below = one.mean_relative_error, other.mean_relative_error
    return above / below if above is not None and below else None


def _s1pt(run: Run, config: Config) -> float:
    """The forward area of pre-training that the fit does not see."""
    before = run.transfer_step
    return float(areas(run.lr, before, config.law.lambda_, config.law.warmup).s1pt[-1])
