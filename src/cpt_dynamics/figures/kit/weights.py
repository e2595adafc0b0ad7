"""The best value of a hyper-parameter of CPT against the weight of the D_pt loss (Eq. 5), for several laws at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpt_dynamics.laws import Array
from cpt_dynamics.planning import Pair, Scan, Scenario
from cpt_dynamics.planning.optimum import Measure
from cpt_dynamics.planning.scenario import ROLES

WEIGHTS = np.linspace(0, 1, 101)
FEW = (0.0, 0.25, 0.5, 0.75, 1.0)  # weights at which alternatives are stated


def scans(pairs: Mapping[str, Pair], scenario: Scenario, knob: str, values: Sequence[float]) -> dict[str, Scan]:
    """`planning.scan` for several pairs of laws, which share the areas of every schedule. values: ascending."""
    laws = {(name, role): law for name, pair in pairs.items() for role, law in pair.roles().items()}
    named = {f"{name}/{role}": law for (name, role), law in laws.items()}
    outcomes = [scenario.with_knob(knob, value).outcome(named) for value in values]
    result = {}
    for name in pairs:
        before, after = (
            {role: np.array([outcome[f"{name}/{role}"][end] for outcome in outcomes]) for role in ROLES}
            for end in (0, 1)
        )
        result[name] = Scan(knob, np.asarray(values, dtype=np.float64), before, after)
    return result


def optima(scan: Scan, weights: Sequence[float] | Array = WEIGHTS, measure: Measure = "change") -> dict[str, Any]:
    """The best value at every weight w1 of the D_pt loss, [weights], and whether it lies inside the scanned range."""
    best = [scan.best(float(weight), measure) for weight in weights]
    return {
        "weights": np.asarray(weights),
        "values": np.array([found.value for found in best]),
        "interior": np.array([found.interior for found in best]),
    }


def never_rises(found: Mapping[str, Any], tolerance: float) -> bool:
    """Whether the best value nowhere rises with w1 by more than `tolerance`, which is that of the refinement."""
    return bool(np.all(np.diff(found["values"]) <= tolerance))


def never_below(one: Mapping[str, Any], other: Mapping[str, Any], tolerance: float) -> bool:
    """Whether the best value of `one` is nowhere below that of `other` by more than `tolerance`."""
    return bool(np.all(one["values"] >= other["values"] - tolerance))
