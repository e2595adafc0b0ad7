"""The CPT law: the annealing law of the whole run plus the shift term; and its baseline without S2."""

from cpt_dynamics.laws.annealing import annealing, forward, irreducible
from cpt_dynamics.laws.base import Law
from cpt_dynamics.laws.shift import FORMS, shift

SUFFIX = {"power": "", "exponential": "_exponential", "log": "_log"}

LAWS = [
    law
    for form in FORMS
    for law in (
        Law(
            f"cpt{SUFFIX[form]}",
            f"arXiv 2505.07796, Eq. 4 with the {form} form of the shift",
            (
                irreducible(),
                forward("s1pt", "s1cpt"),
                annealing("C1", "s2pt"),
                annealing("C2", "s2cpt"),
                shift(form),
            ),
            baseline=f"s1_only{SUFFIX[form]}",
        ),
        Law(
            f"s1_only{SUFFIX[form]}",
            f"baseline: arXiv 2505.07796, Eq. 4 without S2, {form} form of the shift",
            (irreducible(), forward("s1pt", "s1cpt"), shift(form)),
        ),
    )
]
