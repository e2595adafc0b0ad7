"""The CPT law over replay ratios (Eq. 8), with r_pt + r_cpt = 1.

The feature `replay` is r_pt, the share of D_pt text in the CPT corpus. Rows of PT need some number there too
(1 by convention); it has no effect on them, as S1cpt and S2cpt are 0.

How the shifts grow with r_cpt: as printed, with 1 - exp(-a2*r_cpt) on D_pt and exp(a2*r_cpt) - 1 on D_cpt. The
paper's own separate fits at 33, 50 and 67 % replay (Fig. 12) speak for the two forms the other way round. At S1cpt = 4
they keep 31, 19 and 11 % of the D_pt shift without replay (Fig. 3); exp(a2*r_cpt) - 1 gives 31, 17 and 8 % with the a2
printed for D_pt (Fig. 19), and the printed form 92, 83 and 69 %. Of the D_cpt shift they keep 94, 90 and 84 %;
1 - exp(-a2*r_cpt) gives 98, 95 and 85 % with the a2 for D_cpt, and the printed form 15, 5 and 2 %. So there are both:
`cpt_replay_general` and `cpt_replay_domain` as printed, `cpt_replay_general_convex` and `cpt_replay_domain_saturating`
with the other form. (Fig. 12 does not name its ratios; they are told by the size of the shift.)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cpt_dynamics.laws.annealing import annealing, forward, irreducible
from cpt_dynamics.laws.base import Array, Law, Parameter, Parameters, Show, Term
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

    def text(self, show: Show) -> str:
        share = f"(1 - {self.sum_text()})" if self.complement else self.total_text()
        return f"exp({self.shape_text(show)[0]}*{share})"

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

    def text(self, show: Show) -> str:
        grown = f"{self.shape_text(show)[0]}*(1 - {self.sum_text()})"
        return f"(1 - exp(-{grown}))" if self.saturating else f"(exp({grown}) - 1)"


@dataclass(frozen=True)
class PowerDilution(Term):
    """`r_cpt^a`, another way in which the shift may grow with r_cpt, from 0 at 0."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        return np.asarray((1 - self.total(x)) ** shape["a"])

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        share = 1 - self.total(x)
        return {"a": np.log(np.where(share > 0, share, 1.0)) * self.value(shape, x)}  # r^a*log(r) goes to 0 with r

    def text(self, show: Show) -> str:
        return f"(1 - {self.sum_text()})^{self.shape_text(show)[0]}"


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


def with_power(name: str, complement: bool) -> Law:
    """Eq. 8 with the growth r_cpt^a of the shift, as many parameters; a rival of Eq. 8 alone, so in no list of laws."""
    term = shift()
    growth = Parameter("a", 1e-2, 30.0, False, "exponent of the share of D_cpt text in the shift")
    grown = product(term, PowerDilution(term.coefficient, ("replay",), (growth,)))
    terms = (irreducible(), forward("s1pt", "s1cpt"), annealing("C1", "s2pt"), mixed_annealing(complement), grown)
    return Law(name, "arXiv 2505.07796, Eq. 8 with the growth r_cpt^a of the shift", terms)


def _baseline(name: str, corpus: str, saturating: bool) -> Law:
    terms = (irreducible(), forward("s1pt", "s1cpt"), mixed_shift(saturating))
    return Law(name, f"baseline: arXiv 2505.07796, Eq. 8 for the loss on {corpus} without S2", terms)


GENERAL, DOMAIN = "cpt_replay_general_s1_only", "cpt_replay_domain_s1_only"
CONVEX, SATURATING = "cpt_replay_general_convex_s1_only", "cpt_replay_domain_saturating_s1_only"

LAWS = [
    _law("cpt_replay_general", "Eq. 8 for the loss on D_pt", False, True, GENERAL),
    _law("cpt_replay_domain", "Eq. 8 for the loss on D_cpt", True, False, DOMAIN),
    _law("cpt_replay_domain_rpt", "Eq. 8 for the loss on D_cpt with r_pt for r_cpt (Fig. 19)", False, False, DOMAIN),
    _law("cpt_replay_general_convex", "Eq. 8 for the loss on D_pt with exp(a2*r_cpt) - 1", False, False, CONVEX),
    _law("cpt_replay_domain_saturating", "Eq. 8 for the loss on D_cpt with 1 - exp(-a2*r_cpt)", True, True, SATURATING),
    _baseline(GENERAL, "D_pt", True),
    _baseline(DOMAIN, "D_cpt", False),
    _baseline(CONVEX, "D_pt with exp(a2*r_cpt) - 1", False),
    _baseline(SATURATING, "D_cpt with 1 - exp(-a2*r_cpt)", True),
]
