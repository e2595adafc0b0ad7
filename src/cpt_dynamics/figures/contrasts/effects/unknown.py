"""CPT of a model whose pre-training counts as unknown, as Fig. 18 fits and predicts it."""

import numpy as np

from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts.estimates import Shown, single
from cpt_dynamics.figures.contrasts.known import Known, Undefined
from cpt_dynamics.figures.contrasts.result import Contrast
from cpt_dynamics.figures.fig18.analyse import analyse, unknown
from cpt_dynamics.figures.fig18.result import Result, UnknownFit
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.fitting.comparison import seen

LOSSES = (Role.STRONG, Role.PROXY)


def _fits(known: Known) -> dict[Role, UnknownFit]:
    """Fig. 18 on both sets, analysed once."""
    if "fig18" not in known.shared:
        known.shared["fig18"] = analyse(known.of_figure("fig18"))
    found = known.shared["fig18"]
    assert isinstance(found, Result)
    return {role: found.sets[role] for role in LOSSES}


def unknown_pretraining(known: Known) -> Contrast:
    """The error on the long run over that of the better of two trivial predictions."""
    losses, rivals = {}, Shown()
    for role, found in _fits(known).items():
        law, without, last = (
            one.mean_relative_error for one in (found.heldout, found.s1_only.heldout, found.last_value.heldout)
        )
        if law is None or without is None or last is None:
            raise Undefined(f"no row of the long run on {found.validation} is new")
        better = min(without, last)
        losses[role] = single(law / better, known.data.experiments.figures["fig18"].heldout[0])
        rivals.add(role, {"S1 only": without / better, "last value": last / better})
    return Contrast(losses=losses, rivals=rivals.all)


def unknown_r2(known: Known) -> Contrast:
    """R2 on the rows of the long run that no fitted run has."""
    losses, rivals = {}, Shown()
    for role, found in _fits(known).items():
        if found.heldout.r2 is None:
            raise Undefined(f"the losses of the long run on {found.validation} do not differ")
        losses[role] = single(found.heldout.r2, known.data.experiments.figures["fig18"].heldout[0])
        rivals.add(role, {"last value": _r2(_new_losses(known, found.validation), found.last_value.loss)})
    return Contrast(losses=losses, rivals=rivals.all)


def _new_losses(known: Known, validation: str) -> np.ndarray:
    """The losses of the held-out run that no fitted run has."""
    data = known.of_figure("fig18")
    runs = data.experiments.runs_of("fig18")
    features, plans = unknown(data.curves, data.schedules, data.config, runs)
    fitted, every = (
        selection.to_fit(features, plans, names, validation, first_step=0).table
        for names in (data.entry.runs, data.entry.heldout)
    )
    return every.loc[~seen(every, fitted), "loss"].to_numpy()


def _r2(observed: np.ndarray, value: float) -> float:
    """Of one value as the prediction of all."""
    return float(1 - np.sum((observed - value) ** 2) / np.sum((observed - observed.mean()) ** 2))
