"""The floor law: the loss that is left, plus a floor set by the current LR, which follows it as forward area passes.

    L = L0 + A*S_p^-alpha + K*N               pre-training; S_p sums (lr/0.001)^p / 1000
        + B*(1 - (1 + E*S1cpt)^-beta)         CPT: the shift of arXiv 2505.07796, Eq. 3 (with S1 for S_p)

    N_i = N_{i-1} + (1 - exp(-k*lr_i))*((lr_i/0.001)^q - N_{i-1}),     N_0 = (lr_1/0.001)^q

so that at a constant LR N is (lr/0.001)^q. It is the current one plus what is left of every change: `sum of
f_j*exp(-k*S_j)`, f_j the fall of (lr/0.001)^q at change j, S_j the sum of the LR since. With p = q = 1 and N relaxing
in steps, not in area, it is Eq. 1 with lambda = exp(-k) and C = K*(1 - lambda)/0.001. As in all
laws of the LR history the warm-up counts as held at its end, and unknown pre-training starts from an LR of zero unless
the features say otherwise.

One peak LR leaves p, and often q, undetermined: hold them (`Law.fixed(p=1)`, `--fix p=1`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cpt_dynamics.areas import History
from cpt_dynamics.laws.annealing import INFINITY, forward, irreducible
from cpt_dynamics.laws.base import HISTORY, Array, Law, Parameter, Parameters, Show, Term
from cpt_dynamics.laws.drops import rows_of_histories
from cpt_dynamics.laws.noise import REFERENCE, powered
from cpt_dynamics.laws.shift import shift

SOURCE = "this kit's floor law (docs/noise-law.md)"
LARGEST = 300.0  # of an exponent within a block: exp of it, times a sum, stays finite
ROUNDED = 1e-12  # share of the highest LR below which sums of changes are zero but for rounding


@dataclass(frozen=True)
class _Path:
    """The LR of one run as stretches of one LR each, and where its rows lie on them.

    lr: of every stretch, [m], in units of `REFERENCE`. begin: sum of the LR before it, [m]. rows: positions in the
    features, [n]; on: the stretch of each; since: sum of the LR on it up to and with the row's step.
    """

    lr: Array
    begin: Array
    rows: NDArray[np.intp]
    on: NDArray[np.intp]
    since: Array


class Floor(Term):
    """N; its shape parameters are k and, unless the floor is linear in the LR, q."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        result = np.empty(len(x["step"]))
        for path in _paths(x):
            wanted = _power(path.lr, self._exponent(shape))
            rate = shape[self.shape[0].name]
            behind = decayed(rate * path.begin, _falls(wanted))
            result[path.rows] = wanted[path.on] + behind[path.on] * np.exp(-rate * path.since)
        return result

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        result = {p.name: np.empty(len(x["step"])) for p in self.shape}
        rate = shape[self.shape[0].name]
        for path in _paths(x):
            wanted, on = _power(path.lr, self._exponent(shape)), path.on
            falls, left = _falls(wanted), np.exp(-rate * path.since)
            behind, weighed = decayed(rate * path.begin, falls), decayed(rate * path.begin, falls * path.begin)
            spent = path.begin[on] + path.since
            result[self.shape[0].name][path.rows] = left * (weighed[on] - spent * behind[on])
            if len(self.shape) > 1:
                moved = wanted * np.log(np.where(path.lr > 0, path.lr, 1.0))
                follows = decayed(rate * path.begin, _falls(moved))
                result[self.shape[1].name][path.rows] = moved[on] + left * follows[on]
        return result

    def text(self, show: Show) -> str:
        rate, *rest = self.shape_text(show)
        power = f"^{rest[0]}" if rest else ""
        return f"[(lr/{REFERENCE:g}){power} + sum over changes j of f_j*exp(-{rate}*S_j)]"

    def _exponent(self, shape: Parameters) -> float:
        return shape[self.shape[1].name] if len(self.shape) > 1 else 1.0


def decayed(spent: Array, falls: Array) -> Array:
    """`sum over i up to j of falls_i*exp(spent_i - spent_j)`, [m]; `spent` does not fall.

    Running sums of falls_i*exp(spent_i), started anew in blocks within which the exponential stays finite.
    """
    blocks = spent // LARGEST
    borders = [0, *(np.flatnonzero(blocks[1:] != blocks[:-1]) + 1).tolist(), len(spent)]
    result, carried, last = np.empty_like(falls), 0.0, 0.0
    for first, end in pairwise(borders):
        grown = np.exp(spent[first:end] - spent[first])
        carried *= np.exp(last - spent[first])
        result[first:end] = (np.cumsum(grown * falls[first:end]) + carried) / grown
        carried, last = result[end - 1], spent[end - 1]
    return result


def _falls(values: Array) -> Array:
    """Value before minus value of every stretch, 0 for the first."""
    result = np.zeros_like(values)
    np.subtract(values[:-1], values[1:], out=result[1:])
    return result


def _power(lr: Array, exponent: float) -> Array:
    return np.asarray(lr if exponent == 1 else lr**exponent)


def _paths(x: Mapping[str, Array]) -> list[_Path]:
    """The runs of the rows."""
    steps = x["step"].astype(np.int64)
    return [_path(one, rows.tobytes(), steps[rows].tobytes()) for one, rows in rows_of_histories(x).items()]


@lru_cache(maxsize=512)
def _path(history: History, rows: bytes, steps: bytes) -> _Path:
    """The same for every shape, so kept between calls. rows, steps: of the features, int64."""
    at = np.frombuffer(steps, dtype=np.int64)
    before, after = history.events
    drops = np.concatenate([before.drop, after.drop])
    lr = history.start - np.concatenate([[0.0], np.cumsum(drops)])
    lr[np.abs(lr) <= ROUNDED * np.max(lr, initial=0.0)] = 0.0
    begin = np.concatenate([[0.0], before.before, after.before])
    on = np.searchsorted(np.concatenate([before.step, after.step]), at, side="right")
    since = np.maximum(history.sums[at - 1] - begin[on], 0.0)
    return _Path(np.maximum(lr, 0.0) / REFERENCE, begin, np.frombuffer(rows, dtype=np.intp), on, since)


def floor(number: str = "", linear: bool = False) -> Floor:
    """`K*N`; number: a suffix of K and k, where there are several. linear: q = 1."""
    size = Parameter(f"K{number}", 0.0, INFINITY, True, "height of the floor at an LR of 0.001, nats/token")
    rate = Parameter(f"k{number}", 1e-1, 1e4, False, "how fast the floor follows the LR, per unit of LR sum")
    power = Parameter("q", 5e-2, 3.0, False, "power of the LR in the floor")
    return Floor(size, (HISTORY, "step"), (rate,) if linear else (rate, power))


_AREA = ("s1pt", "s1cpt")
LAWS = [
    Law(
        "floor",
        f"{SOURCE}, several peak LRs",
        (irreducible(), powered(), floor()),
        baseline="annealing_s1_only",
    ),
    Law(
        "floor_two_rates",
        f"{SOURCE}, one peak LR: linear in the LR, with two rates (which may trade places)",
        (irreducible(), forward(*_AREA), floor("1", linear=True), floor("2", linear=True)),
        baseline="annealing_s1_only",
    ),
    Law(
        "cpt_floor",
        f"{SOURCE}, CPT",
        (irreducible(), forward(*_AREA), floor(), shift()),
        baseline="s1_only",
    ),
]
