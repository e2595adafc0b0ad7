"""The laws that are compared on the public curves."""

from collections.abc import Mapping
from typing import get_args

from cpt_dynamics.areas import Warmup
from cpt_dynamics.fitting.comparison import Given
from cpt_dynamics.laws import Law, get

AUTHORS = "multi_power (authors)"
# How each law counts the warm-up. That of the Multi-Power Law is its authors'; falls of the LR, which fsl sums, are
# in no warm-up, and its LR sum is the true one.
WARMUPS: dict[str, Warmup] = {
    "annealing_s1_only": "true-in-S1",
    **{f"annealing ({warmup})": warmup for warmup in get_args(Warmup)},
    AUTHORS: "true-in-both",
    "multi_power": "true-in-both",
    "fsl": "true-in-S1",
}
# As a figure or a table calls them (the mathematics is TeX).
LABELS = {
    "annealing_s1_only": "$S_1$ alone",
    "annealing (peak)": "annealing, warm-up: peak",
    "annealing (true-in-S1)": "annealing, warm-up: true in $S_1$",
    "annealing (true-in-both)": "annealing, warm-up: true in both",
    AUTHORS: "Multi-Power Law, authors' fit",
    "multi_power": "Multi-Power Law, fitted here",
    "fsl": "Functional Scaling Law",
}


def laws(parameters: Mapping[str, float], source: str) -> dict[str, Law | Given]:
    """What is compared; `parameters` are those that the authors of the Multi-Power Law publish."""
    found: dict[str, Law | Given] = {name: get(name.partition(" ")[0]) for name in WARMUPS}
    return found | {AUTHORS: Given(get("multi_power"), parameters, source)}
