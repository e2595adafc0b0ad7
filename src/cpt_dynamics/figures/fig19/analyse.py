"""Eq. 8 fitted jointly to CPT at all replay ratios (arXiv 2505.07796, Figure 19)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig19.result import FittedForm, FormsOfSet, Result, TestedForm
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, SIGNS, choices, errors, fitted, relative
from cpt_dynamics.figures.kit.result import Errors
from cpt_dynamics.fitting import fit
from cpt_dynamics.laws import get

# By role: Eq. 8 as printed, and with the growths of its two shifts exchanged.
PRINTED = {Role.GENERAL: "cpt_replay_general", Role.STRONG: "cpt_replay_domain"}
EXCHANGED = {Role.GENERAL: "cpt_replay_general_convex", Role.STRONG: "cpt_replay_domain_saturating"}
R_PT = "cpt_replay_domain_rpt"  # with r_pt in the annealing of D_cpt
STARTS = 3  # of each of the many fits without one ratio


def analyse(data: FigureData) -> Result:
    """One fit of each form of Eq. 8 to all replay ratios for each validation set."""
    by_ratio = selection.by_replay(data.experiments, data.config, data.entry.runs)
    if len(by_ratio) < 2:
        raise UserError(f"{data.config.stated_in}: fig19 fits several replay ratios and has {len(by_ratio)}: list more")
    areas = selection.with_areas(selection.of_runs(data.curves, data.entry.runs), data.schedules, data.config)
    features = selection.with_replay(areas, data.experiments, data.config)
    ratios = {f"{ratio:g}": runs for ratio, runs in by_ratio.items()}
    return Result(
        **choices(data),
        runs=data.entry.runs,
        ratios=ratios,
        schedules=selection.by_schedule(data.experiments, ratios),
        fits={role: _Fits(data, features, ratios, role).forms() for role in SETS},
    )


@dataclass(frozen=True)
class _Fits:
    """Fits of forms of Eq. 8 on one validation set."""

    data: FigureData
    features: pd.DataFrame
    ratios: dict[str, list[str]]
    role: Role

    def forms(self) -> FormsOfSet:
        return FormsOfSet(
            printed=self.tested(PRINTED[self.role]),
            exchanged=self.tested(EXCHANGED[self.role]),
            r_pt=self.fitted(R_PT) if self.role == Role.STRONG else None,
        )

    def fitted(self, law: str) -> FittedForm:
        """The fit to all runs, and its errors on the CPT rows of each ratio."""
        data, form = self.data, get(law, SIGNS[self.role])
        found = fitted(self.features, data.schedules, data.config, data.entry.runs, self.role, form)
        measured = {
            ratio: errors(found.fit, selection.continual(self.features, runs, found.validation))
            for ratio, runs in self.ratios.items()
        }
        return FittedForm(**dict(found.result()), ratios={ratio: Errors.of(one) for ratio, one in measured.items()})

    def tested(self, law: str) -> TestedForm:
        """The same, and the mean relative error on each ratio of a fit to the runs of the others."""
        left_out = {ratio: self.without(law, runs) for ratio, runs in self.ratios.items()}
        values = list(left_out.values())
        return TestedForm(
            **dict(self.fitted(law)),
            left_out=left_out,
            left_out_mean=float(np.mean(values)),
            left_out_worst=float(np.max(values)),
        )

    def without(self, law: str, out: list[str]) -> float:
        """Mean relative error on the CPT rows of some runs, predicted by a fit to the others."""
        validation, form = self.data.config.corpus_of(self.role), get(law, SIGNS[self.role])
        rest = [run for run in dict.fromkeys(self.features["run"]) if run not in out]
        first = self.data.config.law.first_step
        rows = selection.to_fit(self.features, self.data.schedules, rest, validation, first).table
        found = fit(form, rows, rows["loss"], n_starts=STARTS)
        return relative(found, selection.continual(self.features, out, validation))
