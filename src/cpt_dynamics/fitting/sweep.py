"""Fits over a grid of lambda, the memory of the annealing area, which is fixed within a fit."""

from collections.abc import Callable, Iterable
from typing import Any

from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.fit import Fit, fit
from cpt_dynamics.laws import Features, Law


def sweep_lambda(
    law: Law | str,
    make_features: Callable[[float], Features],
    loss: Any,
    lambdas: Iterable[float],
    **options: Any,
) -> dict[float, Fit]:
    """A fit of `law` to `loss`, [n], for each lambda, ascending.

    make_features: the rows, in the order of `loss`, with the areas of a given lambda. options: of `fit`. All fits
    are of the same rows, so their objectives can be compared (see `best`).
    """
    found = {value: fit(law, make_features(value), loss, **options) for value in sorted(set(lambdas))}
    if not found:
        raise UserError("lambdas is empty: give at least one value below 1")
    return found


def best(sweep: dict[float, Fit]) -> float:
    """The lambda whose fit has the smallest objective; the smaller one of equals."""
    return min(sorted(sweep), key=lambda value: sweep[value].objective)
