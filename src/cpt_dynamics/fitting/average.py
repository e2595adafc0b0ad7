"""Averages of fits: what several laws say together, which is often nearer than what the best of them says alone.

Laws miss in different places, so that a part of their errors cancels, and an average need not be chosen. With equal
weights nothing is fitted. Stacked weights (Breiman, Machine Learning 24, 1996) come from curves that were left out: few
curves do not determine them, so there they are no better than equal ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from cpt_dynamics.config import explain
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.fit import Fit
from cpt_dynamics.fitting.uncertainty import leave_one_curve_out, left_out_rows
from cpt_dynamics.laws import Array, Features, Law, Parameters, Term
from cpt_dynamics.laws.base import HISTORY, Show

Weighting = Literal["equal", "stacked"]
ROUNDING = 1e-9  # by which stored weights may miss a sum of 1


@dataclass(frozen=True)
class Average:
    """A weighted mean of the predictions of fits; `weights` are at least 0 and sum to 1, one a fit."""

    fits: tuple[Fit, ...]
    weights: tuple[float, ...]
    weighting: Weighting

    def predict(self, features: Features) -> Array:
        """The mean for every row, [n]; `UserError` as of `Fit.predict`. A fit of weight 0 is not asked."""
        parts = zip(self.weights, self.fits, strict=True)
        return np.asarray(sum(weight * found.predict(features) for weight, found in parts if weight))

    @property
    def name(self) -> str:
        """As `cpt-dynamics compare --laws` writes it."""
        laws = "+".join(found.law.name for found in self.fits)
        return laws if self.weighting == "equal" else f"{self.weighting}:{laws}"

    @property
    def law(self) -> Law:
        """The average as one law: the terms of all laws, the parameters of the first with `_1` behind their name ..."""
        first, held = self.fits[0].law, dict[str, float]()
        terms: list[Term] = []
        for number, (weight, found) in enumerate(zip(self.weights, self.fits, strict=True), 1):
            terms += [_numbered(term, f"_{number}") for term in found.law.terms]
            held |= _weighed(found.law, found.law.held, weight, f"_{number}")
        return Law(self.name, f"average, {self.weighting} weights", tuple(terms), first.residual, held=held)

    @property
    def parameters(self) -> dict[str, float]:
        """Of `law`: those of the fits, coefficients times the weight of their fit."""
        numbered = enumerate(zip(self.weights, self.fits, strict=True), 1)
        parts = [_weighed(found.law, found.parameters, weight, f"_{n}") for n, (weight, found) in numbered]
        return {name: value for part in parts for name, value in part.items()}

    @property
    def settings(self) -> dict[str, Any]:
        """How the areas were made, as of the fits."""
        return self.fits[0].settings

    def to_json(self) -> dict[str, Any]:
        """A JSON-able mapping from which `from_json` makes the same average."""
        fits = [found.to_json() for found in self.fits]
        return {"weighting": self.weighting, "weights": list(self.weights), "fits": fits}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Average":
        """The average that `to_json` wrote; `UserError` names what is missing or wrong."""
        try:
            stored = _Stored.model_validate(value)
        except ValidationError as error:
            raise UserError(f"{explain(error.errors()[0], 'this is not an average')} (fit again)") from None
        if len(stored.fits) != len(stored.weights) or abs(sum(stored.weights) - 1) > ROUNDING:
            raise UserError("this is not an average: it needs one weight a fit, and a sum of 1 (fit again)")
        return cls(tuple(Fit.from_json(one) for one in stored.fits), tuple(stored.weights), stored.weighting)


@dataclass(frozen=True)
class _Numbered(Term):
    """A term of one of several laws, whose parameters have a suffix to their name."""

    of: Term | None = None
    suffix: str = ""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        assert self.of is not None
        return self.of.value(self._own(shape), x)

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        assert self.of is not None
        return {f"{name}{self.suffix}": slope for name, slope in self.of.slopes(self._own(shape), x).items()}

    def text(self, show: Show) -> str:
        assert self.of is not None
        return self.of.text(lambda name: show(f"{name}{self.suffix}"))

    def _own(self, shape: Parameters) -> dict[str, float]:
        assert self.of is not None
        return {p.name: shape[f"{p.name}{self.suffix}"] for p in self.of.shape}


def _numbered(term: Term, suffix: str) -> _Numbered:
    first, *rest = (replace(p, name=f"{p.name}{suffix}") for p in (term.coefficient, *term.shape))
    return _Numbered(first, term.inputs, tuple(rest), term.sign, term, suffix)


def _weighed(law: Law, values: Parameters, weight: float, suffix: str) -> dict[str, float]:
    """Values of parameters with a suffix to their names, coefficients times the weight."""
    coefficients = {term.coefficient.name for term in law.terms}
    return {f"{name}{suffix}": value * (weight if name in coefficients else 1.0) for name, value in values.items()}


class _Stored(BaseModel):
    """The shape of what `Average.to_json` gives."""

    model_config = ConfigDict(strict=True, extra="forbid")

    weighting: Weighting
    weights: Annotated[list[Annotated[FiniteFloat, Field(ge=0)]], Field(min_length=2)]
    fits: list[dict[str, Any]]


def average(fits: Sequence[Fit]) -> Average:
    """The mean of several fits with equal weights; `UserError` for fits that do not belong together."""
    _check(fits)
    return Average(tuple(fits), (1 / len(fits),) * len(fits), "equal")


def stack(fits: Sequence[Fit], features: pd.DataFrame, loss: Any, groups: Iterable[Any] | None = None) -> Average:
    """The mean of several fits with weights that would have predicted left-out curves best.

    Each law is fitted anew without each group of rows and predicts it (see `leave_one_curve_out`, whose parameters
    the others are). The weights are at least 0, sum to 1 and minimise the squared relative errors of these
    predictions (of laws of a difference: the squared errors), averaged over each curve and then over curves.
    As there, give the table with the rows that runs share.
    """
    _check(fits)
    observed = np.asarray(loss, dtype=np.float64)
    labels = None if groups is None else list(groups)
    errors = np.column_stack([_left_out(found, features, observed, labels) for found in fits])
    weights = simplex(errors)
    return Average(tuple(fits), tuple(weights.tolist()), "stacked")


def simplex(errors: Array) -> Array:
    """Weights [k] that are at least 0, sum to 1 and minimise the squared length of `errors` [n, k] times them.

    A further row asks for a sum of 1. Its size only scales the solution, so that dividing by the sum is exact.
    """
    from scipy.optimize import nnls  # takes long to import, so only where it is used

    size = float(np.abs(errors).max(initial=0.0)) or 1.0
    weights, _ = nnls(np.vstack([errors / size, np.ones(errors.shape[1])]), np.append(np.zeros(len(errors)), 1.0))
    return np.asarray(weights / weights.sum())


def _left_out(found: Fit, features: pd.DataFrame, loss: Array, groups: list[Any] | None) -> Array:
    """Errors of one law on left-out rows, each curve scaled to the same weight, [rows]."""
    options: dict[str, Any] = {"delta": found.delta}
    if HISTORY in found.law.inputs:  # slow to search, so the refits start from the fit alone
        options |= {"n_screen": 0, "starts": [found.parameters]}
    curves = leave_one_curve_out(found.law, features, loss, groups, **options).curves
    rows = left_out_rows(features, loss, groups)
    parts = []
    for curve in curves:
        at = rows[curve.group]
        error = found.law.predict(curve.parameters, features.iloc[at]) - loss[at]
        scale = loss[at] if found.law.residual == "log" else 1.0
        parts.append(error / scale / np.sqrt(len(at)))
    return np.concatenate(parts)


def _check(fits: Sequence[Fit]) -> None:
    if len(fits) < 2:
        raise UserError(f"an average needs at least two fits, has {len(fits)}: add laws")
    if len({found.law.residual for found in fits}) > 1:
        raise UserError("an average of laws of a loss and of a difference of losses has no meaning: choose one kind")
    made = {tuple(sorted(found.settings.items())) for found in fits}
    if len(made) > 1:
        raise UserError("the fits have areas made in several ways: fit all of them with the same settings")
