"""Laws that sum over changes of the LR: each lowers the loss by an amount that grows with the LR spent since."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpt_dynamics.areas import Events, History
from cpt_dynamics.laws.annealing import INFINITY, Forward, forward, irreducible
from cpt_dynamics.laws.base import HISTORY, Array, Law, Parameter, Parameters, Show, Term
from cpt_dynamics.laws.shift import shift

CHUNK = 65_536  # elements of [rows, changes] worked on at once, so that they stay in the processor's cache
PHASES = (0, 1)  # PT and CPT, positions in `History.events`


@dataclass(frozen=True)
class Drops(Term):
    """`sum over changes k up to step t of drop_k * w_k * (1 - (1 + rate * v_k * S_k(t))^-exponent)`.

    S_k(t) is the sum of the LR from step k to t. `rate` and `exponent` are the first two shape parameters.
    Subclasses say which changes count and what their weights w_k and v_k are.
    """

    phases: tuple[int, ...] = PHASES
    changes = "changes"  # in a formula

    def chosen(self, events: Events) -> NDArray[np.bool_]:
        """Which changes count, [events]."""
        return np.ones(len(events.drop), dtype=bool)

    def weight(self, shape: Parameters, events: Events) -> tuple[Array, dict[str, Array]]:
        """w_k, [events], and its derivatives with respect to shape parameters."""
        return np.ones(len(events.drop)), {}

    def speed(self, shape: Parameters, events: Events) -> tuple[Array, dict[str, Array]]:
        """v_k, [events], and the derivatives of its logarithm."""
        return np.ones(len(events.drop)), {}

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        result = np.zeros(len(x[HISTORY]))
        rate, exponent = (shape[p.name] for p in self.shape[:2])
        for rows, since, events in self._blocks(x):
            size = events.drop * self.weight(shape, events)[0]
            since *= rate * self.speed(shape, events)[0]
            np.log1p(since, out=since)
            since *= -exponent
            result[rows] -= np.expm1(since, out=since) @ size
        return result

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        names = [p.name for p in self.shape]
        result = {name: np.zeros(len(x[HISTORY])) for name in names}
        rate, exponent = (shape[name] for name in names[:2])
        for rows, since, events in self._blocks(x):
            weight, weight_slopes = self.weight(shape, events)
            speed, speed_slopes = self.speed(shape, events)
            size = events.drop * weight
            since *= rate * speed
            logs = np.log1p(since)
            left = logs * -exponent
            np.exp(left, out=left)
            logs *= left
            result[names[1]][rows] += logs @ size
            pace = np.divide(since, 1 + since, out=since)  # derivative by log(rate * speed), over the exponent
            pace *= left
            result[names[0]][rows] += pace @ size * (exponent / rate)
            for name, slope in speed_slopes.items():
                result[name][rows] += pace @ (size * slope) * exponent
            for name, slope in weight_slopes.items():
                result[name][rows] += (1 - left) @ (events.drop * slope)
        return result

    def text(self, show: Show) -> str:
        """The sum over changes k of the LR."""
        rate, exponent, *rest = self.shape_text(show)
        where = "" if len(self.phases) > 1 else f" in {('PT', 'CPT')[self.phases[0]]}"
        weight, speed = self.factors_text(*rest)
        return f"[sum over {self.changes}{where} of d_k{weight}*(1 - (1 + {rate}{speed}*S_k)^-{exponent})]"

    def factors_text(self, *rest: str) -> tuple[str, str]:
        """w_k and v_k as factors, from the texts of the further shape parameters."""
        return "", ""

    def _blocks(self, x: Mapping[str, Array]) -> Iterator[tuple[NDArray[np.intp], Array, Events]]:
        """Rows of one history, S_k(t) [rows, changes] (0 before the change), and the changes."""
        steps = x["step"].astype(np.int64)
        for history, rows in rows_of_histories(x).items():
            rows = rows[np.argsort(steps[rows], kind="stable")]
            for phase in self.phases:
                for part, spent, known in _parts(history, phase, self, steps[rows].tobytes()):
                    # of a change after the row's own step no LR is spent yet
                    since = spent[:, None] - known.before
                    yield rows[part], np.maximum(since, 0.0, out=since), known


def rows_of_histories(x: Mapping[str, Array]) -> dict[History, NDArray[np.intp]]:
    """The rows of every LR history."""
    histories: Any = x[HISTORY]
    found: dict[History, list[int]] = {}
    for row, history in enumerate(histories.tolist()):
        found.setdefault(history, []).append(row)
    return {history: np.array(rows, dtype=np.intp) for history, rows in found.items()}


@lru_cache(maxsize=256)
def _parts(history: History, phase: int, term: Drops, steps: bytes) -> list[tuple[slice, Array, Events]]:
    """Blocks of rows in order of step: which rows, their sums of the LR, and the changes up to the last one's step.

    steps: those of all rows, int64. The same for every shape, so kept between calls.
    """
    at = np.frombuffer(steps, dtype=np.int64)
    events = history.events[phase]
    events = _select(events, term.chosen(events))
    begun = np.searchsorted(events.step, at, side="right")
    borders = np.flatnonzero(np.diff(np.cumsum(begun) // CHUNK)) + 1
    ends = [0, *borders.tolist(), len(at)]
    parts = [slice(first, last) for first, last in pairwise(ends)]
    return [(part, history.sums[at[part] - 1], _select(events, slice(int(begun[part][-1])))) for part in parts]


def _select(events: Events, rows: NDArray[np.bool_] | slice) -> Events:
    return Events(events.drop[rows], events.lr[rows], events.step[rows], events.before[rows])


class MultiPower(Drops):
    """`v_k = lr_k^-gamma`; changes of both signs count."""

    def speed(self, shape: Parameters, events: Events) -> tuple[Array, dict[str, Array]]:
        gamma = self.shape[2].name
        # A change to an LR of exactly 0 has no LR to spend: S_k stays 0 until the LR rises again.
        logs = np.log(np.maximum(events.lr, 1e-12))
        return np.exp(-shape[gamma] * logs), {gamma: -logs}

    def factors_text(self, *rest: str) -> tuple[str, str]:
        return "", f"*lr_k^-{rest[0]}"


class Decays(Drops):
    """Falls of the LR alone."""

    changes = "falls"

    def chosen(self, events: Events) -> NDArray[np.bool_]:
        return np.asarray(events.drop > 0)


class EarlyDecays(Decays):
    """Falls of the LR with `w_k = (sum of the LR up to and with step k)^-s`."""

    def weight(self, shape: Parameters, events: Events) -> tuple[Array, dict[str, Array]]:
        s = self.shape[2].name
        logs = np.log(np.maximum(events.before + events.lr, 1e-300))
        weight = np.exp(-shape[s] * logs)
        return weight, {s: -logs * weight}

    def factors_text(self, *rest: str) -> tuple[str, str]:
        return f"*T_k^-{rest[0]}", ""


class Rises(Drops):
    """Rises of the LR alone."""

    changes = "rises"

    def chosen(self, events: Events) -> NDArray[np.bool_]:
        return np.asarray(events.drop < 0)


def drop_shape(rate: str, exponent: str, gamma: str) -> tuple[Parameter, ...]:
    """Shape parameters of the multi-power drop under given names."""
    return (
        Parameter(rate, 1e-3, 1e6, False, "how fast a drop grows, per unit of LR sum over LR^gamma"),
        Parameter(exponent, 1e-3, 20.0, False, "exponent of a drop's growth"),
        Parameter(gamma, 0.0, 2.0, False, "power of the LR after a change that slows its drop down"),
    )


def multi_power(size: str, phases: tuple[int, ...], names: tuple[str, str, str] = ("C", "beta", "gamma")) -> Term:
    """The loss drop of the Multi-Power Law over the changes of some phases."""
    coefficient = Parameter(size, 0.0, INFINITY, True, "drop of the loss per unit of fallen LR, when fully grown")
    return MultiPower(coefficient, (HISTORY, "step"), drop_shape(*names), -1, phases)


def _fsl(rewarm: bool) -> tuple[Term, ...]:
    rate = Parameter("c4", 1e-2, 1e6, False, "how fast a decay acts, per unit of LR sum")
    exponent = Parameter("g", 1e-3, 20.0, False, "exponent of a decay's action")
    source = Parameter("s", 1e-2, 10.0, False, "exponent of the LR sum (source exponent)")
    early = Parameter("c2", 0.0, INFINITY, True, "drop per unit of fallen LR, for decays weighted by T_k^-s")
    late = Parameter("c2c3", 0.0, INFINITY, True, "drop per unit of fallen LR, whenever it falls")
    first = Parameter("c1", 0.0, INFINITY, True, "size of the part that falls with the LR sum")
    again = Parameter("c5", 0.0, INFINITY, True, "rise of the loss per unit of LR that is re-warmed in CPT")
    decays = (
        irreducible(),
        Forward(first, ("s1pt", "s1cpt"), (source,)),
        EarlyDecays(early, (HISTORY, "step"), (rate, exponent, source), -1),
        Decays(late, (HISTORY, "step"), (rate, exponent), -1),
    )
    # a rise is a negative drop
    return (*decays, Rises(again, (HISTORY, "step"), (rate, exponent), -1, (1,))) if rewarm else decays


LAWS = [
    Law(
        "multi_power",
        "Multi-Power Law: Luo et al., arXiv 2503.12811",
        (irreducible(), forward("s1pt", "s1cpt"), multi_power("B", PHASES)),
        baseline="annealing_s1_only",
    ),
    Law(
        "cpt_multi_power",
        "arXiv 2505.07796, Eq. 4, with the drop of the Multi-Power Law (arXiv 2503.12811) in place of S2",
        (
            irreducible(),
            forward("s1pt", "s1cpt"),
            multi_power("C1", (0,), ("c", "b", "gamma")),
            multi_power("C2", (1,), ("c", "b", "gamma")),
            shift(),
        ),
        baseline="s1_only",
    ),
    Law(
        "fsl",
        "practical form of the Functional Scaling Law, arXiv 2509.19189, as re-implemented by others:"
        " falls of the LR only",
        _fsl(False),
        baseline="annealing_s1_only",
    ),
    Law(
        "fsl_rewarm",
        "the law fsl with a term of this kit's own for re-warm-up: rises of the LR in CPT act like falls, reversed",
        _fsl(True),
        baseline="annealing_s1_only",
    ),
    Law(
        "cpt_fsl",
        "arXiv 2505.07796, Eq. 3, on the law fsl_rewarm in place of the annealing law",
        (*_fsl(True), shift()),
        baseline="s1_only",
    ),
]
