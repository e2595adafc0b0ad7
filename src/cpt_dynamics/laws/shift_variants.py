"""Other forms of the shift in the CPT law: Hill's, one with two scales, and one that depends on the checkpoint.

All are this kit's own changes to Eq. 4 of arXiv 2505.07796; none is from the paper.

- Hill: `(E*S1cpt)^h/(1 + (E*S1cpt)^h)`, half of B at S1cpt = 1/E. With k = E^-h it is S1cpt^h/(k + S1cpt^h).
- Two scales: beside the power form one part that is complete after an area of a few 1/E2.
- Shift times S2pt: the shift is larger or smaller from an annealed checkpoint. With one checkpoint, or with
  checkpoints annealed alike, B2 cannot be told from B.
"""

from collections.abc import Mapping

import numpy as np

from cpt_dynamics.laws.annealing import Annealing, annealing, forward, irreducible
from cpt_dynamics.laws.base import Array, Law, Parameter, Parameters, Show, Term
from cpt_dynamics.laws.shift import INFINITY, ExponentialShift, PowerShift, shift
from cpt_dynamics.laws.size import Product, product

SOURCE = "this kit's variant of arXiv 2505.07796, Eq. 4"


class HillShift(Term):
    """`(E*S)^h/(1 + (E*S)^h)`."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        grown = self._grown(shape, x)
        return np.asarray(grown / (1 + grown))

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        rate, exponent = (p.name for p in self.shape)
        scaled, grown = shape[rate] * self.total(x), self._grown(shape, x)
        pace = grown / (1 + grown) ** 2
        logs = np.log(np.where(scaled > 0, scaled, 1.0))  # where S is 0, so is the pace
        return {rate: shape[exponent] / shape[rate] * pace, exponent: logs * pace}

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        # what is left where (E*S)^h stays small
        return {"B*E^h": parameters["B"] * parameters["E"] ** parameters["h"]}

    def text(self, show: Show) -> str:
        rate, exponent = self.shape_text(show)
        grown = f"({rate}*{self.total_text()})^{exponent}"
        return f"{grown}/(1 + {grown})"

    def _grown(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        rate, exponent = (p.name for p in self.shape)
        return np.asarray((shape[rate] * self.total(x)) ** shape[exponent])


def hill() -> HillShift:
    """`B*(E*S1cpt)^h/(1 + (E*S1cpt)^h)`."""
    known = shift()
    exponent = Parameter("h", 5e-2, 5.0, False, "exponent of the shift: 1 is Eq. 3 with beta = 1")
    return HillShift(known.coefficient, known.inputs, (known.shape[0], exponent))


def second_scale() -> ExponentialShift:
    """`B2*(1 - exp(-E2*S1cpt))`."""
    size = Parameter("B2", -INFINITY, INFINITY, True, "size of the part of the shift with one scale")
    rate = Parameter("E2", 1e-2, 1e6, False, "how fast that part comes, per unit of its argument", per="s1cpt")
    return ExponentialShift(size, ("s1cpt",), (rate,))


def shift_of_potential() -> Product:
    """`B2*(1 - (1 + E*S1cpt)^-beta)*S2pt`."""
    size = Parameter("B2", -INFINITY, INFINITY, True, "how the shift grows with the annealing area of pre-training")
    known = shift()
    return product(PowerShift(size, known.inputs, known.shape), Annealing(size, ("s2pt",)))


_LEFT = (irreducible(), forward("s1pt", "s1cpt"))
_EQ_4 = (*_LEFT, annealing("C1", "s2pt"), annealing("C2", "s2cpt"))

LAWS = [
    Law("cpt_hill", f"{SOURCE}: Hill's form of the shift", (*_EQ_4, hill()), baseline="s1_only_hill"),
    Law("s1_only_hill", "baseline: cpt_hill without S2", (*_LEFT, hill())),
    Law(
        "cpt_two_scale",
        f"{SOURCE}: the power form of the shift and an exponential one",
        (*_EQ_4, shift(), second_scale()),
        baseline="s1_only_two_scale",
    ),
    Law("s1_only_two_scale", "baseline: cpt_two_scale without S2", (*_LEFT, shift(), second_scale())),
    Law(
        "cpt_shift_potential",
        f"{SOURCE}: the shift depends on how annealed the checkpoint is",
        (*_EQ_4, shift(), shift_of_potential()),
        baseline="s1_only",
    ),
]
