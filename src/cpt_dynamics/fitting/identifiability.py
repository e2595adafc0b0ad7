"""Which parameters of a law the rows of a fit determine."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cpt_dynamics.laws import Features, Law

COLLINEAR = 1e-7  # singular value, relative to the largest one, of a direction that a fit warns about
TAKES_PART = 0.1  # weight in a direction from which on a parameter is named


@dataclass(frozen=True)
class Identifiability:
    """Which parameters the rows of a fit determine.

    condition: largest over smallest singular value of the Jacobian of the residuals with columns of
    length 1 (inf where `undetermined` is not empty). directions: for each singular value below the
    tolerance, how much each parameter takes part (a unit vector); movements along it cannot be told
    apart. undetermined: parameters without any effect on the predictions.
    """

    condition: float
    singular_values: list[float]
    directions: list[dict[str, float]]
    undetermined: list[str]


def identifiability(
    law: Law, parameters: dict[str, float], features: Features, tolerance: float = 1e-3
) -> Identifiability:
    """Which parameters, and which directions among them, the rows of `features` determine at `parameters`."""
    jacobian = law.jacobian(parameters, features)
    if law.residual == "log":
        jacobian = jacobian / law.predict(parameters, features)[:, None]
    names = [p.name for p in law.parameters]
    lengths = np.linalg.norm(jacobian, axis=0)
    seen = lengths > 0
    _, values, rows = np.linalg.svd(jacobian[:, seen] / lengths[seen], full_matrices=False)
    kept = [name for name, s in zip(names, seen, strict=True) if s]
    directions = [
        {name: float(w) for name, w in zip(kept, row, strict=True)}
        for value, row in zip(values, rows, strict=True)
        if value < tolerance * values[0]
    ]
    undetermined = [name for name, s in zip(names, seen, strict=True) if not s]
    smallest = 0.0 if undetermined or not len(values) else float(values[-1])
    condition = float(values[0]) / smallest if smallest > 0 else float("inf")
    return Identifiability(condition, [float(v) for v in values], directions, undetermined)


def collinear(known: Identifiability) -> list[list[str]]:
    """The parameters of each direction along which nothing changes (singular value below `COLLINEAR`)."""
    pairs = zip(known.singular_values[::-1], known.directions[::-1], strict=False)
    return [involved(direction) for value, direction in pairs if value < COLLINEAR * known.singular_values[0]]


def involved(direction: Mapping[str, float]) -> list[str]:
    """The parameters that take part in a direction of `Identifiability`."""
    return [name for name, weight in direction.items() if abs(weight) > TAKES_PART]
