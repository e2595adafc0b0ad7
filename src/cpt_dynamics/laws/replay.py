"""The CPT law over replay ratios (Eq. 8), with r_pt + r_cpt = 1.

The feature `replay` is r_pt, the share of D_pt text in the CPT corpus. Rows of PT need some number there too
(1 by convention); it has no effect on them, as S1cpt and S2cpt are 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cpt_dynamics.laws.annealing import annealing, forward, irreducible
from cpt_dynamics.laws.base import Array, Law, Parameter, Parameters, Term
from cpt_dynamics.laws.shift import shift
from cpt_dynamics.laws.size import Product, product


@dataclass(frozen=True)
class Exponential(Term):
    """`exp(a*x)`, or `exp(a*(1 - x))` with `complement`."""

    complement: bool = False

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        return np.asarray(np.exp(shape[self.shape[0].name] * self._share(x)))

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        return {self.shape[0].name: self._share(x) * self.value(shape, x)}

    def _share(self, x: Mapping[str, Array]) -> Array:
        return 1 - self.total(x) if self.complement else self.total(x)


@dataclass(frozen=True)
class Dilution(Term):
    """How the shift grows with r_cpt, from 0 at 0: `exp(a2*r_cpt) - 1`, or with `saturating` `1 - exp(-a2*r_cpt)`."""

    saturating: bool = False

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        sign = -1 if self.saturating else 1
        return np.asarray(sign * np.expm1(sign * shape["a2"] * (1 - self.total(x))))

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        sign, share = -1 if self.saturating else 1, 1 - self.total(x)
        return {"a2": share * np.exp(sign * shape["a2"] * share)}

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        size, beta, a2 = (parameters[name] for name in ("B", "beta", "a2"))
        sign = -1 if self.saturating else 1
        unmixed = size * sign * float(np.expm1(sign * a2))
        return {
            "B*a2": size * a2,  # all that is left of the two as a2 goes to 0
            "B*beta*a2": size * beta * a2,  # and of the three where beta does so, too
            "B without replay": unmixed,
            "B*beta without replay": unmixed * beta,
        }


def mixed_annealing(complement: bool) -> Product:
    """`-C2*S2cpt*exp(a1*r)`, r the replay ratio or (`complement`) r_cpt."""
    term = annealing("C2", "s2cpt")
    growth = Parameter("a1", -5.0, 5.0, False, "how the fall by annealing grows with the share of matching text")
    return product(term, Exponential(term.coefficient, ("replay",), (growth,), complement=complement))


def mixed_shift(saturating: bool) -> Product:
    """The shift term times its growth with r_cpt (see `Dilution`)."""
    term = shift()
    growth = Parameter("a2", 1e-2, 30.0, False, "how fast the shift grows with the share of D_cpt text")
    return product(term, Dilution(term.coefficient, ("replay",), (growth,), saturating=saturating))


def _law(name: str, source: str, complement: bool, saturating: bool, baseline: str) -> Law:
    terms = (
        irreducible(),
        forward("s1pt", "s1cpt"),
        annealing("C1", "s2pt"),
        mixed_annealing(complement),
        mixed_shift(saturating),
    )
    return Law(name, f"arXiv 2505.07796, {source}", terms, baseline=baseline)


def _baseline(name: str, corpus: str, saturating: bool) -> Law:
    terms = (irreducible(), forward("s1pt", "s1cpt"), mixed_shift(saturating))
    return Law(name, f"baseline: arXiv 2505.07796, Eq. 8 for the loss on {corpus} without S2", terms)


GENERAL, DOMAIN = "cpt_replay_general_s1_only", "cpt_replay_domain_s1_only"

LAWS = [
    _law("cpt_replay_general", "Eq. 8 for the loss on D_pt", False, True, GENERAL),
    _law("cpt_replay_domain", "Eq. 8 for the loss on D_cpt", True, False, DOMAIN),
    _law("cpt_replay_domain_rpt", "Eq. 8 for the loss on D_cpt with r_pt for r_cpt (Fig. 19)", False, False, DOMAIN),
    _baseline(GENERAL, "D_pt", True),
    _baseline(DOMAIN, "D_cpt", False),
]
