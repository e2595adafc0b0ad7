"""The CPT law with two memories: what an annealing is worth depends on how long ago it was, not on its phase.

    L = L0 + A*S1^-alpha - Cf*S2(.95) - Cs*S2(.995) + B*(1 - (1 + E*S1cpt)^-beta)

S2(l) is the annealing area of the whole run with memory l, whatever the lambda of the features; its momentum always
carries over into CPT. The two memories, 20 and 200 steps, take the place of C1 and C2 and of the one lambda, so the law
has as many parameters as Eq. 4. They go with runs of some 4,500 steps; `two_memories` makes the law for others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cpt_dynamics.areas import History, area_columns
from cpt_dynamics.laws.annealing import Annealing, annealing, forward, irreducible
from cpt_dynamics.laws.base import HISTORY, Array, Law, Parameters, Show
from cpt_dynamics.laws.drops import rows_of_histories
from cpt_dynamics.laws.shift import shift


@dataclass(frozen=True)
class Remembered(Annealing):
    """The annealing area of a whole run with a memory of its own (a lambda)."""

    memory: float = 0.99

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        steps = x["step"].astype(np.int64)
        result = np.empty(len(steps))
        for one, rows in rows_of_histories(x).items():
            result[rows] = _area(one, self.memory, steps[rows].tobytes())
        return result

    def text(self, show: Show) -> str:
        return f"[sum over steps of m({self.memory:g})]"


@lru_cache(maxsize=512)
def _area(history: History, memory: float, steps: bytes) -> Array:
    """S2 of a run after some steps (int64), the same for every shape, so kept between calls."""
    at: NDArray[np.int64] = np.frombuffer(steps, dtype=np.int64)
    columns = area_columns(history, at, memory, lr_power=0.0)
    return np.asarray(columns["s2pt"] + columns["s2cpt"])


def remembered(name: str, memory: float) -> Remembered:
    """`-C*S2(memory)`."""
    known = annealing(name)
    return Remembered(known.coefficient, (HISTORY, "step"), sign=known.sign, memory=memory)


def two_memories(fast: float = 0.95, slow: float = 0.995) -> Law:
    """The law with other memories; for runs of T steps, about 1 - 225/T and 1 - 22/T keep their share of the run."""
    areas = (remembered("Cf", fast), remembered("Cs", slow))
    source = f"this kit's variant of arXiv 2505.07796, Eq. 4: memories {fast:g} and {slow:g} in place of C1 and C2"
    terms = (irreducible(), forward("s1pt", "s1cpt"), *areas, shift())
    return Law("cpt_two_memories", source, terms, baseline="s1_only")


LAWS = [two_memories()]
