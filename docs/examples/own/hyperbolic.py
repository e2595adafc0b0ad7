"""Eq. 4 with a hyperbolic shift, the power form with its exponent fixed at 1."""

from collections.abc import Mapping

import numpy as np

from cpt_dynamics.laws.annealing import annealing, forward, irreducible
from cpt_dynamics.laws.base import Array, Law, Parameter, Parameters, Show, Term

INFINITY = float("inf")


class HyperbolicShift(Term):
    """`E*S / (1 + E*S)`."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        grown = shape["E"] * self.total(x)
        return np.asarray(grown / (1 + grown), dtype=np.float64)

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        area = self.total(x)
        return {"E": area / (1 + shape["E"] * area) ** 2}

    def text(self, show: Show) -> str:
        grown = f"{self.shape_text(show)[0]}*{self.total_text()}"
        return f"{grown}/(1 + {grown})"


LAWS = [
    Law(
        "cpt_hyperbolic",
        "arXiv 2505.07796, Eq. 4 with beta = 1",
        (
            irreducible(),
            forward("s1pt", "s1cpt"),
            annealing("C1", "s2pt"),
            annealing("C2", "s2cpt"),
            HyperbolicShift(
                Parameter("B", -INFINITY, INFINITY, True, "size of the shift"),
                ("s1cpt",),
                (Parameter("E", 1e-2, 1e8, False, "how fast the shift starts", per="s1cpt"),),
            ),
        ),
        baseline="s1_only",
    ),
]
