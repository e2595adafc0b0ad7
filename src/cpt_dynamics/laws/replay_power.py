"""Laws over replay ratios in which the shift goes with powers of the share of CPT text: `E*S -> E*S*r^nu, B -> B*r^mu`.

r = 1 - replay is r_cpt, the share of D_cpt text in the CPT corpus. Without any there is no shift. nu below 1 says that
a token of CPT text counts for more the rarer it is, mu that the end of the shift moves, too. At one ratio the laws are
those that they are named after. As in `replay`, rows of PT need some number for the feature, which has no effect there.

Laws of unknown pre-training read the LR before CPT from the LR history: zero unless the features were made with the
LR of the checkpoint (`curves.features`, `initial_lr`), which then counts in V and in S2cpt.
"""

from collections.abc import Mapping

import numpy as np

from cpt_dynamics.laws.annealing import annealing, forward, irreducible
from cpt_dynamics.laws.base import Array, Law, Parameter, Parameters, Show
from cpt_dynamics.laws.noise import SOURCE, noise
from cpt_dynamics.laws.replay import mixed_annealing, mixed_shift
from cpt_dynamics.laws.shift import PowerShift, shift
from cpt_dynamics.laws.unknown import continued


class ReplayedShift(PowerShift):
    """`r^mu*(1 - (1 + E*S*r^nu)^-beta)`; inputs S and the replay ratio, 1 - r."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        share, area = 1 - x[self.inputs[1]], x[self.inputs[0]]
        grown = np.log1p(shape["E"] * area * share ** shape["nu"])
        return np.asarray(-np.expm1(-shape["beta"] * grown) * share ** shape["mu"])

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        share, area = 1 - x[self.inputs[1]], x[self.inputs[0]]
        slowed, kept = share ** shape["nu"], share ** shape["mu"]
        logs = np.log(np.where(share > 0, share, 1.0))
        grown = np.log1p(shape["E"] * area * slowed)
        left = np.exp(-shape["beta"] * grown)
        pace = kept * shape["beta"] * area * slowed * left / (1 + shape["E"] * area * slowed)
        return {
            "E": pace,
            "beta": kept * grown * left,
            "nu": shape["E"] * pace * logs,
            "mu": logs * self.value(shape, x),
        }

    def text(self, show: Show) -> str:
        rate, exponent, nu, mu = self.shape_text(show)
        area, share = self.inputs[0].replace("s1cpt", "S1cpt"), f"(1 - {self.inputs[1]})"
        return f"{share}^{mu}*(1 - (1 + {rate}*{area}*{share}^{nu})^-{exponent})"


def replayed_shift() -> ReplayedShift:
    """`B*r^mu*(1 - (1 + E*S1cpt*r^nu)^-beta)`."""
    known = shift()
    speed = Parameter("nu", 0.0, 3.0, False, "power of the share of D_cpt text in how fast the shift comes")
    size = Parameter("mu", 0.0, 3.0, False, "power of the share of D_cpt text in the size of the shift")
    return ReplayedShift(known.coefficient, (*known.inputs, "replay"), (*known.shape, speed, size))


def _unknown(name: str, words: str, complement: bool, saturating: bool) -> Law:
    terms = (irreducible(), continued(), mixed_annealing(complement), mixed_shift(saturating))
    return Law(name, f"{_EQ_8} {words}", terms, baseline=f"{name}_s1_only")


def _unknown_baseline(name: str, saturating: bool) -> Law:
    terms = (irreducible(), continued(), mixed_shift(saturating))
    return Law(f"{name}_s1_only", f"baseline: {name} without S2", terms)


_EQ_8 = "arXiv 2505.07796, Eq. 8 with S1pt as a parameter and without S2pt,"
_LEFT = (irreducible(), forward("s1pt", "s1cpt"))
CONVEX, SATURATING = "cpt_unknown_replay_general_convex", "cpt_unknown_replay_domain_saturating"

LAWS = [
    Law(
        "cpt_noise_replay",
        f"{SOURCE}, CPT over replay ratios",
        (*_LEFT, noise(), replayed_shift()),
        baseline="s1_only_replay",
    ).fixed(q=0.5),
    Law(
        "s1_only_replay",
        "baseline: cpt_noise_replay without the noise",
        (*_LEFT, replayed_shift()),
    ),
    Law(
        "cpt_unknown_noise_replay",
        f"{SOURCE}, CPT of a checkpoint whose pre-training is unknown, over replay ratios",
        (irreducible(), noise(), replayed_shift()),
        baseline="shift_only_replay",
    ).fixed(q=0.5),
    Law(
        "cpt_unknown_replay",
        "this kit's variant of arXiv 2505.07796, Eq. 4: unknown pre-training, the loss it leaves a part of L0,"
        " and a shift with powers of the share of CPT text",
        (irreducible(), annealing("C2", "s2cpt"), replayed_shift()),
        baseline="shift_only_replay",
    ),
    Law(
        "shift_only_replay", "baseline: a constant and the shift over replay ratios", (irreducible(), replayed_shift())
    ),
    _unknown(CONVEX, "for the loss on D_pt with exp(a2*r_cpt) - 1", False, False),
    _unknown_baseline(CONVEX, False),
    _unknown(SATURATING, "for the loss on D_cpt with 1 - exp(-a2*r_cpt)", True, True),
    _unknown_baseline(SATURATING, True),
]
