"""Critical point and turning length: whether CPT gets a loss back to where it started, and when (Figs. 7 and 13)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cpt_dynamics.areas import AreaSettings
from cpt_dynamics.errors import UserError
from cpt_dynamics.laws import Array
from cpt_dynamics.planning.scenario import Pair, Predictor, Scenario

ROUNDING = 1e-12  # nats/token: a rise below it is none
LIMITS = {"s1pt", "s2pt", "s1cpt", "s2cpt", "replay", "params"}  # features whose limit for endless CPT is known
DENSE = 32  # lengths that are all tried before the scan gets coarser
RATIO = 1.04  # of neighbouring lengths in the coarse scan


@dataclass(frozen=True)
class Turning:
    """The turning length of CPT.

    steps: the fewest, 0 where the loss never rises above its start; None where it is not back within `max_steps`.
    infinite: the law says that it is never back. highest: the largest rise above the start found on the way
    (nats/token). reason: what `steps` means here, in one plain sentence.
    """

    steps: int | None
    infinite: bool
    highest: float
    max_steps: int
    reason: str
    weight: float | None = None


@dataclass
class _Lengths:
    """The rise of each loss at the end of CPT over its start, for CPT of any length; each computed once."""

    laws: Mapping[str, Predictor]
    scenario: Scenario
    known: dict[int, Array] = field(default_factory=dict)
    beyond: dict[tuple[str, int], Array | None] = field(default_factory=dict)

    def rises(self, steps: int) -> Array:
        """Of each law, [laws] (nats/token)."""
        if steps not in self.known:
            outcome = self.scenario.with_knob("steps", steps).outcome(self.laws)
            self.known[steps] = np.array([after - before for before, after in outcome.values()])
        return self.known[steps]

    def rise_beyond(self, name: str, steps: int) -> Array | None:
        """`_rise_beyond` of a law after CPT of so many steps; each computed once."""
        if (name, steps) not in self.beyond:
            self.beyond[name, steps] = _rise_beyond(self.scenario.with_knob("steps", steps), self.laws[name])
        return self.beyond[name, steps]


def critical_point(general: Predictor, replay: float = 0.0, params: float = math.nan) -> float:
    """The loss on the D_pt validation set that endless training on the CPT corpus converges to (nats/token).

    In Eq. 4 of arXiv 2505.07796 that is L0 + B: annealing is set aside, at a constant LR (S2pt = S2cpt = 0).
    A PT model above it can get back to its starting loss. replay: share of D_pt text in the CPT corpus, for laws
    that read it (as in Eq. 8); params: likewise. Infinite for laws whose shift has no limit (`cpt_log`).
    """
    value = _limit(general, 0.0, 0.0, 0.0, np.array([np.inf]), replay, params)
    if value is None:
        raise UserError(
            f"law {general.law.name!r} has no limit over {', '.join(sorted(LIMITS))} alone: choose cpt or cpt_replay_*"
        )
    if math.isnan(value[0]):
        raise UserError(f"law {general.law.name!r} has no limit for endless CPT with params = {params:g}: give params")
    return float(value[0])


def turning_length(laws: Pair | Predictor, scenario: Scenario, max_steps: int, weight: float | None = None) -> Turning:
    """The fewest steps of CPT after which a loss is back at its value at the end of PT, after having risen.

    The CPT schedule of the scenario is stretched to every length tried (its re-warm-up keeps its steps, so the
    shortest CPT is one that it fits into). weight: None takes the loss of `laws`, the D_pt loss of a `Pair`; w1
    takes the objective of Eq. 5 (Fig. 13), for a `Pair`. The lengths tried first are the first `DENSE` and then
    each `RATIO` times the last, and the crossing is then bisected: a rise and return between two of them is missed.
    """
    return turning_lengths(laws, scenario, max_steps, [weight])[0]


def turning_lengths(
    laws: Pair | Predictor, scenario: Scenario, max_steps: int, weights: Sequence[float | None]
) -> list[Turning]:
    """`turning_length` for several weights, which share the losses of every length."""
    if max_steps < 1:
        raise UserError(f"max_steps is {max_steps}: it must be at least 1")
    lengths = _Lengths(laws.roles() if isinstance(laws, Pair) else {"general": laws}, scenario)
    first = _shortest(scenario, max_steps)
    tried = _tried(first, max_steps)
    rises = np.array([lengths.rises(int(steps)) for steps in tried])
    return [_turning(lengths, tried, rises, weight) for weight in weights]


def _turning(lengths: _Lengths, tried: Array, rises: Array, weight: float | None) -> Turning:
    mix = _mix(lengths, weight)
    values, last = rises @ mix, int(tried[-1])
    what = "the D_pt loss" if weight is None else "the objective"
    risen = np.flatnonzero(values > ROUNDING)
    highest = float(max(values.max(), 0.0))
    if not len(risen):
        return Turning(0, False, highest, last, f"{what} never rises above its start within {last} steps", weight)
    back = np.flatnonzero(values[risen[0] :] <= 0)
    if len(back):
        at = risen[0] + int(back[0])
        steps = _bisect(lengths, mix, int(tried[at - 1]), int(tried[at]))
        return Turning(steps, False, highest, last, f"{what} is back at its start after {steps} steps", weight)
    never = _never(lengths, mix)
    end = "and the law says that it never is" if never else "the law does not rule out that it is later"
    return Turning(None, never, highest, last, f"{what} is not back at its start within {last} steps; {end}", weight)


def _mix(lengths: _Lengths, weight: float | None) -> Array:
    """Weights of the laws' losses, [laws]."""
    if weight is None:
        return np.array([1.0, 0.0][: len(lengths.laws)])
    if len(lengths.laws) == 1:
        raise UserError("a weight is between two losses: give a pair of laws, or no weight")
    if not 0 <= weight <= 1:
        raise UserError(f"weight is {weight:g}: the weight of the D_pt loss lies between 0 and 1")
    return np.array([weight, 1 - weight])


def _shortest(scenario: Scenario, max_steps: int) -> int:
    """Fewest steps that the CPT schedule can be stretched to."""
    misfit = scenario.with_knob("steps", max_steps).misfit
    if misfit:
        raise UserError(f"the CPT schedule does not fit into max_steps: {misfit}")
    low, high = 0, max_steps
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if scenario.with_knob("steps", middle).misfit else (low, middle)
    return high


def _tried(first: int, last: int) -> Array:
    """Lengths of the coarse scan, ascending."""
    coarse = np.geomspace(first + DENSE, max(last, first + DENSE), 2 + int(math.log(max(last, 2)) / math.log(RATIO)))
    every = np.concatenate([np.arange(first, first + DENSE), coarse.round(), [last]])
    return np.unique(every[every <= last]).astype(np.int64)


def _bisect(lengths: _Lengths, mix: Array, low: int, high: int) -> int:
    """Fewest steps above `low`, where the value is above 0, at which it is not; it is not at `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if lengths.rises(middle) @ mix > 0 else (low, middle)
    # Lengths that round to another number of decay steps make the value jump by a step's worth: look back.
    schedule = lengths.scenario.continual
    window = math.ceil(2 / schedule.decay_share) if schedule.shape == "wsd" else 0
    earlier = range(max(high - window, min(lengths.known)), high)
    values = {steps: lengths.rises(steps) @ mix for steps in earlier}
    return min((s for s in earlier if values[s] <= 0 and values.get(s - 1, 0.0) > 0), default=high)


def _never(lengths: _Lengths, mix: Array) -> bool:
    """Whether the laws are above the start for every CPT longer than the last one tried.

    Stretched without end, a schedule's annealing area grows to (all that the LR falls by)/(1 - lambda). With that
    area the loss is evaluated for every larger forward area on a logarithmic grid and without end: a lower bound
    of the losses, as long as a larger annealing area lowers them, so that a positive one proves the statement.
    """
    total = np.zeros(1)
    for name, share in zip(lengths.laws, mix, strict=True):
        if share:
            rise = lengths.rise_beyond(name, max(lengths.known))
            if rise is None:
                return False
            total = total + share * rise
    return bool(np.all(total > 0))


def _rise_beyond(scenario: Scenario, law: Predictor) -> Array | None:
    """A lower bound of the rise above the start at every larger forward area; None if the law has none."""
    s1pt, s2pt, s1cpt, s2cpt, limit = _ends(scenario, law)
    if not s1cpt > 0:
        return None
    areas = np.append(s1cpt * np.logspace(0, 60, 601), np.inf)
    with np.errstate(over="ignore"):
        values = _limit(law, s1pt, s2pt, max(limit, s2cpt), areas, scenario.replay, scenario.params)
    return None if values is None else values - scenario.ends(law)[0]


def _ends(scenario: Scenario, law: Predictor) -> tuple[float, float, float, float, float]:
    """s1pt, s2pt, s1cpt and s2cpt at the end of CPT, and s2cpt of the same schedule stretched without end."""
    before = scenario.pretraining_steps
    settings = AreaSettings.of(law.settings)
    table = scenario.features(law.settings, [max(before - 1, 1), before, len(scenario.lr)])
    memory = 1 / (1 - settings.lambda_)
    momentum = float(table["s2pt"].iloc[1] - table["s2pt"].iloc[0])
    carried = momentum * (memory - 1) if settings.carry_over else 0.0
    fallen = float(scenario.lr[before - 1] - scenario.lr[-1])
    s1pt, s2pt, s1cpt, s2cpt = (float(table[name].iloc[2]) for name in ("s1pt", "s2pt", "s1cpt", "s2cpt"))
    return s1pt, s2pt, s1cpt, s2cpt, carried + fallen * memory


def _limit(
    law: Predictor, s1pt: float, s2pt: float, s2cpt: float, s1cpt: Array, replay: float, params: float
) -> Array | None:
    """The law at given areas, [n]; None where it reads a feature whose value for endless CPT is not known."""
    if not set(law.law.inputs) <= LIMITS:
        return None
    given = {"s1pt": s1pt, "s2pt": s2pt, "s2cpt": s2cpt, "replay": replay, "params": params}
    return law.predict({"s1cpt": s1cpt, **{name: np.full(len(s1cpt), value) for name, value in given.items()}})
