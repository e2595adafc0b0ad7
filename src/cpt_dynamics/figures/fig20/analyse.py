"""The variants of the annealing area, Eqs. 9 and 10 (arXiv 2505.07796, Figure 20 and Table 2)."""

from collections.abc import Mapping

import numpy as np

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig20.result import (
    CarryOver,
    Difference,
    FormsOfSet,
    Handling,
    HeldoutErrors,
    OriginalForm,
    Result,
    VariantForm,
)
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.eq4 import check_heldout, eq4
from cpt_dynamics.figures.kit.joint import SETS, SIGNS, choices, fitted, relative
from cpt_dynamics.figures.kit.statistics import mean_test
from cpt_dynamics.fitting import Fit
from cpt_dynamics.laws import get

# Laws, and the power of the LR that weights the area (None: it has none).
VARIANTS: dict[str, tuple[str, float | None]] = {
    "lr_weighted_01": ("cpt_lr_weighted", 0.1),
    "lr_weighted_02": ("cpt_lr_weighted", 0.2),
    "power": ("cpt_power", None),
}
ByRun = Mapping[str, float]


def analyse(data: FigureData) -> Result:
    """Eq. 4 (the fit of Fig. 3) and its variants, and their errors on the held-out runs."""
    check_heldout(data)
    return Result(
        **choices(data),
        runs=data.entry.runs,
        heldout_runs=data.entry.heldout,
        sets={role: _forms(data, role) for role in SETS},
    )


def _forms(data: FigureData, role: Role) -> FormsOfSet:
    carried, restart = (eq4(data, role, carry_over) for carry_over in (True, False))
    with_carry, without = (_heldout(data, found.fit, role) for found in (carried, restart))
    original, errors = (carried, with_carry) if data.config.law.carry_over else (restart, without)
    return FormsOfSet(
        validation=data.config.corpus_of(role),
        original=OriginalForm(**dict(original), heldout=_summary(errors)),
        variants={name: _variant(data, law, eps, role, errors) for name, (law, eps) in VARIANTS.items()},
        carry_over=CarryOver(
            carried=Handling(huber_sum=carried.huber_sum, heldout=_summary(with_carry)),
            restart=Handling(huber_sum=restart.huber_sum, heldout=_summary(without)),
            difference=_difference(with_carry, without),
        ),
    )


def _variant(data: FigureData, law: str, eps: float | None, role: Role, original: ByRun) -> VariantForm:
    """The fit of a variant, its held-out errors and their difference from those of Eq. 4."""
    runs = data.entry.runs
    rows = selection.of_runs(data.curves, runs)
    areas = selection.with_areas(rows, data.schedules, data.config, lr_power=eps)
    found = fitted(areas, data.schedules, data.config, runs, role, get(law, SIGNS[role]))
    errors = _heldout(data, found.fit, role)
    return VariantForm(
        **dict(found.result()), eps=eps, heldout=_summary(errors), difference=_difference(errors, original)
    )


def _heldout(data: FigureData, found: Fit, role: Role) -> dict[str, float]:
    """Mean relative error of a fit on the CPT rows of each held-out run."""
    runs, validation = data.entry.heldout, data.config.corpus_of(role)
    features = selection.with_areas_of(selection.of_runs(data.curves, runs), data.schedules, found.settings)
    return {run: relative(found, selection.continual(features, [run], validation)) for run in runs}


def _summary(errors: ByRun) -> HeldoutErrors:
    return HeldoutErrors(runs=dict(errors), mean=float(np.mean(list(errors.values()))))


def _difference(one: ByRun, other: ByRun) -> Difference:
    differences = {run: one[run] - other[run] for run in one}
    return Difference(**dict(mean_test(list(differences.values()), "run")), runs=differences)
