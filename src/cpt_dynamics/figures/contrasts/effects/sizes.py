"""Other model sizes: the law of size, and the shift."""

from collections.abc import Mapping, Sequence

import numpy as np

from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts.effects.shift import HIDDEN, STRONG, mean_shifts, measured
from cpt_dynamics.figures.contrasts.estimates import Shown, mean, over, ratio_of, slope_of
from cpt_dynamics.figures.contrasts.known import Known
from cpt_dynamics.figures.contrasts.result import Contrast, Numbers
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS
from cpt_dynamics.fitting import Fit

RUNS = ("pt_constant", "cpt_constant", "pt_wsd", "cpt_wsd")


def size_law(known: Known) -> Contrast:
    """The error of Eq. 7 on a size that is left out, over that without annealing areas; levels from its PT rows."""
    names = known.need(*(f"{run}{size}" for size in known.sizes() for run in RUNS))
    models = selection.by_model(known.data.experiments, names)
    params = selection.params(known.data.curves, models)
    losses, rivals = {}, Shown()
    for role in SETS:
        errors = {law: _left_out(known, law, models, role) for law in ("cpt_size", "cpt_size_s1_only")}
        nearest = {}
        for model, runs in models.items():
            other = _nearest(model, params)
            law = known.law("cpt", role)
            assert law is not None
            nearest[model] = _levelled(known, known.fit(law, role, models[other]), runs, role)
        without = errors["cpt_size_s1_only"]
        losses[role] = ratio_of(errors["cpt_size"], without)
        rivals.add(role, {"Eq. 7 without annealing areas": 1.0})
        rivals.add(role, {"Eq. 4 of the nearest size with another level": over(nearest, without)})
    return Contrast(losses=losses, rivals=rivals.all)


def _nearest(model: str, params: Mapping[str, int]) -> str:
    """The other size whose logarithm is nearest."""
    return min((one for one in params if one != model), key=lambda one: abs(np.log(params[one] / params[model])))


def _left_out(known: Known, name: str, models: Mapping[str, Sequence[str]], role: Role) -> Numbers:
    law, found = known.law(name, role), {}
    assert law is not None
    for model, runs in models.items():
        others = [run for other, names in models.items() if other != model for run in names]
        found[model] = _levelled(known, known.fit(law, role, others, several_sizes=True), runs, role)
    return found


def _levelled(known: Known, found: Fit, runs: Sequence[str], role: Role) -> float:
    """Mean relative error on CPT rows after the mean error on PT rows is taken off."""
    rows = known.rows(runs, role)
    difference = rows["loss"].to_numpy() - found.predict(rows)
    continual = (rows["phase"] == "continual").to_numpy()
    level = difference[~continual].mean()
    return float(np.mean(np.abs(difference - level)[continual] / rows["loss"].to_numpy()[continual]))


def size_shift(known: Known) -> Contrast:
    """Slope of the relative mean shift against the logarithm of the size, from the smallest to the largest."""
    hidden = {f"{STRONG}{size}": f"{HIDDEN}{size}" for size in known.sizes()}
    known.need(*hidden, *hidden.values())
    params = selection.params(known.data.curves, {run: [run] for run in hidden})
    logs = {run: float(np.log(count)) for run, count in params.items()}
    low, high = min(logs.values()), max(logs.values())
    places = {run: (log - low) / (high - low) for run, log in logs.items()}
    whole = mean({run: float(count) for run, count in params.items()})
    grown = slope_of(places, {run: count / whole for run, count in params.items()}).estimate
    return Contrast(
        losses={role: slope_of(places, mean_shifts(measured(known, hidden, role))) for role in SETS},
        rivals={"a shift that grows with the size": dict.fromkeys(SETS, grown)},
    )
