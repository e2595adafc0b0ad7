"""Losses on out-of-domain sets as combinations of the D_pt and the D_cpt loss, fitted and tested as in Fig. 21."""

import numpy as np
import pandas as pd

from cpt_dynamics.figures.contrasts.estimates import mean
from cpt_dynamics.figures.contrasts.known import Known, Undefined
from cpt_dynamics.figures.contrasts.result import Contrast, Effect, Numbers
from cpt_dynamics.figures.kit.out_of_domain import losses
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import fit_ood

LOSS = "out_of_domain"
CLOSE = 0.02  # nats/token: the error up to which a set counts as described, as the entry of claims.yaml defines it
BOTH, PLAIN = "both", "Eq. 6 without a constant"
ONE = {"general": "affine in the D_pt loss", "domain": "affine in the D_cpt loss"}


def ood_linear(known: Known) -> Contrast:
    """The share of the sets with a held-out mean absolute error of at most `CLOSE`."""
    errors = _errors(known)
    both = errors.pop(BOTH)
    return Contrast(
        losses={LOSS: Effect(estimate=mean(_close(both)), units=_close(both))},
        rivals={name: {LOSS: mean(_close(one))} for name, one in errors.items()},
        beside={f"error on {name} (nats)": {LOSS: error} for name, error in both.items()},
    )


def ood_both(known: Known) -> Contrast:
    """The median over sets of the held-out error over that of the better affine function of one loss."""
    errors = _errors(known)
    better = {name: min(errors[one][name] for one in ONE.values()) for name in errors[BOTH]}

    def ratios(of: str) -> Numbers:
        return {name: error / better[name] for name, error in errors[of].items()}

    units = ratios(BOTH)
    return Contrast(
        losses={LOSS: Effect(estimate=float(np.median(list(units.values()))), units=units)},
        rivals={name: {LOSS: float(np.median(list(ratios(name).values())))} for name in ONE.values()},
    )


def _errors(known: Known) -> dict[str, Numbers]:
    """Held-out mean absolute error (nats/token) by predictor and set: over each run's rows first, then over runs."""
    data = known.of_figure("fig21")
    names = data.config.roles.out_of_domain
    if not names:
        raise Undefined("the scale has no out-of-domain sets")
    found: dict[str, Numbers] = {BOTH: {}, PLAIN: {}, **{name: {} for name in ONE.values()}}
    for name in names:
        fitted, heldout = losses(data.curves, data.config, data.entry, data.experiments, name)
        for key, constant in ((BOTH, True), (PLAIN, False)):
            law = fit_ood(fitted, intercept=constant)
            found[key][name] = _error(heldout, law.predict(heldout["general"], heldout["domain"]))
        for column, key in ONE.items():
            b, a = np.polyfit(fitted[column], fitted["ood"], 1)
            found[key][name] = _error(heldout, a + b * heldout[column].to_numpy())
    return found


def _error(rows: pd.DataFrame, predicted: Array) -> float:
    return float((rows["ood"] - predicted).abs().groupby(rows["run"]).mean().mean())


def _close(errors: Numbers) -> Numbers:
    """By set 1 where the error is small, and 0 where not."""
    return {name: float(error <= CLOSE) for name, error in errors.items()}
