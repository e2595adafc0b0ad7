"""Other forms of the annealing part of the CPT law (Eqs. 9 and 10)."""

from cpt_dynamics.laws.annealing import annealing, forward, irreducible
from cpt_dynamics.laws.base import Law, Parameter
from cpt_dynamics.laws.shift import shift
from cpt_dynamics.laws.size import Power


def power_annealing(name: str, exponent: str, area: str) -> Power:
    """`-C*S2^z`; a negative S2, as a re-warm-up makes, counts as `-|S2|^z`, which the paper leaves open."""
    return Power(
        annealing(name, area).coefficient,
        (area,),
        (Parameter(exponent, 0.1, 5.0, False, "exponent of the annealing area"),),
        sign=-1,
    )


LAWS = [
    Law(
        "cpt_lr_weighted",
        "arXiv 2505.07796, Eq. 9: Eq. 4 over annealing areas weighted by a power of the LR, chosen with the features",
        (
            irreducible(),
            forward("s1pt", "s1cpt"),
            annealing("C1", "s2pt_lr"),
            annealing("C2", "s2cpt_lr"),
            shift(),
        ),
        baseline="s1_only",
    ),
    Law(
        "cpt_power",
        "arXiv 2505.07796, Eq. 10; sign(S2)*|S2|^z where S2 is negative",
        (
            irreducible(),
            forward("s1pt", "s1cpt"),
            power_annealing("C1", "z1", "s2pt"),
            power_annealing("C2", "z2", "s2cpt"),
            shift(),
        ),
        baseline="s1_only",
    ),
]
