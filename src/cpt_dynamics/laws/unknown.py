"""The CPT law for a model whose pre-training is not known: its S1pt is a parameter, and it has no S2pt term.

Its last PT LR is taken as zero (arXiv 2505.07796, section on open-source models) unless the features are made with
another (`curves.features`, `initial_lr`). The published fits of Fig. 18
on a proxy for D_pt only give the printed curves with B < 0 and beta < 0, a shift that grows as a power:
`cpt_unknown_growing`. On synthetic CPT curves with noise `cpt_unknown` had several valleys: `fitting.fit` found
the best one from 30 starts, but not always from its default 12.
"""

from collections.abc import Mapping

import numpy as np

from cpt_dynamics.laws.annealing import annealing, forward, irreducible
from cpt_dynamics.laws.base import Array, Law, Parameter, Parameters, Show, Term
from cpt_dynamics.laws.shift import shift

INFINITY = float("inf")


class PowerOfSum(Term):
    """`(u + p*v)^-g` with shape parameters g and p, in this order; `parts` says what u and v are."""

    def parts(self, x: Mapping[str, Array]) -> tuple[Array, Array]:
        """u and v, each [n]."""
        raise NotImplementedError

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        return np.asarray(self._sum(shape, x) ** -shape[self.shape[0].name])

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        exponent, weight = (p.name for p in self.shape)
        total, value = self._sum(shape, x), self.value(shape, x)
        return {exponent: -np.log(total) * value, weight: -shape[exponent] * self.parts(x)[1] * value / total}

    def text(self, show: Show) -> str:
        exponent, weight = self.shape_text(show)
        return f"({self.sum_text()} + {weight})^-{exponent}"

    def _sum(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        known, weighted = self.parts(x)
        return known + shape[self.shape[1].name] * weighted


class Continued(PowerOfSum):
    """`(S1pt + S1cpt)^-alpha` with S1pt a parameter."""

    def parts(self, x: Mapping[str, Array]) -> tuple[Array, Array]:
        area = self.total(x)
        return area, np.ones_like(area)

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        size, alpha, area = (parameters[name] for name in ("A", "alpha", "S1pt"))
        start = size * area**-alpha
        return {"A*S1pt^-alpha": start, "A*alpha*S1pt^(-alpha-1)": start * alpha / area}  # at the transfer


def continued() -> Continued:
    """`A*(S1pt + S1cpt)^-alpha`; the bounds of S1pt are wide but, unlike others, fixed in units of LR sums."""
    known = forward("s1cpt")
    before = Parameter("S1pt", 1e-3, 1e3, False, "forward area of the unknown pre-training, sum of the LR over steps")
    return Continued(known.coefficient, known.inputs, (*known.shape, before))


UNKNOWN = Law(
    "cpt_unknown",
    "arXiv 2505.07796, Eq. 4 with S1pt as a parameter and without S2pt (Fig. 18)",
    (irreducible(), continued(), annealing("C2", "s2cpt"), shift()),
    baseline="cpt_unknown_s1_only",
)
WITHOUT_S2 = Law(
    "cpt_unknown_s1_only",
    "baseline: arXiv 2505.07796, Eq. 4 with S1pt as a parameter, without S2",
    (irreducible(), continued(), shift()),
)
GROWING = {"B": (-INFINITY, 0.0), "beta": (-1.0, -1e-4)}

LAWS = [
    UNKNOWN,
    WITHOUT_S2,
    Law(
        "cpt_unknown_growing",
        "arXiv 2505.07796, as cpt_unknown with beta < 0 and B < 0: a loss that goes on growing (Fig. 18, RedPajama-C4)",
        UNKNOWN.bounded(**GROWING).terms,
        baseline="cpt_unknown_growing_s1_only",
    ),
    Law(
        "cpt_unknown_growing_s1_only",
        "baseline: as cpt_unknown_growing, without S2",
        WITHOUT_S2.bounded(**GROWING).terms,
    ),
]
