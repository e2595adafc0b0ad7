"""Which law, and which lambda, some runs can carry, chosen from these runs alone.

The rule is one for all data. Laws whose parts the runs can tell are candidates (`candidates`). Each is fitted to all
runs, and to all but one in turn, where the others still tell. The smallest objective wins, unless one of the law's
terms is zero, or the law misses the curves left out by more than `WORST` times what the best of the candidates does.
The objective sees how the loss follows the LR only where some LR falls fast: where none does, the first candidate is
taken, which has the fewest parameters, and lambda is 1 - 60/T.

Leaving one curve out of three takes away the only one of its kind, which is why it is a guard and not the judge.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.comparison import counted, search
from cpt_dynamics.fitting.fit import Fit
from cpt_dynamics.fitting.logged import once
from cpt_dynamics.fitting.uncertainty import HeldOut, falls_fast, leave_one_curve_out, without_seed
from cpt_dynamics.laws import Law, Shift, get
from cpt_dynamics.laws.base import HISTORY

MEMORY = 60  # lambda is 1 minus this over the steps of the longest run, where runs do not tell it
MEMORIES = (15, 30, 60, 120, 240)  # what is tried where they do
SEVERAL = 1.05  # ratio of peak LRs from which on they are several
ANNEALED = 0.1  # a checkpoint whose last LR is at most this share of the peak of its pre-training is annealed
WORST = 3.0

FeaturesOf = Callable[[float], pd.DataFrame]  # of lambda


@dataclass(frozen=True)
class Runs:
    """What some runs can tell, from the LR of each of them."""

    continual: bool  # whether any has CPT
    known: bool  # whether their pre-training is known
    peaks: int  # peak LRs of pre-training, or of CPT where pre-training is unknown
    fast: bool  # whether the LR of any falls fast
    annealed: bool  # whether all CPT starts from annealed checkpoints
    longest: int  # steps of the longest run

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "Runs":
        """rows: features (see `curves.features`), of which the LR histories are read."""
        histories = list(dict.fromkeys(rows[HISTORY]))
        switches = [one.pretraining_steps for one in histories]
        known = any(switches)
        stretches = [one.forward[: s or None] for one, s in zip(histories, switches, strict=True)]
        starts = [
            (one.forward[s - 1] if s else one.start) / one.forward[: s or None].max()
            for one, s in zip(histories, switches, strict=True)
            if s < len(one.forward)
        ]
        return cls(
            bool((rows["s1cpt"] > 0).any()),
            known,
            _distinct([float(part.max()) for part in stretches]),
            any(falls_fast(one) for one in histories),
            all(start <= ANNEALED for start in starts),
            max(len(one.forward) for one in histories),
        )


def _distinct(values: Sequence[float]) -> int:
    ascending = np.sort(values)
    return 1 + int(np.sum(ascending[1:] > SEVERAL * ascending[:-1]))


def candidates(runs: Runs) -> list[str]:
    """Names of the laws whose parts these runs can tell, the one for the least of them first.

    M and the exponent of the kernel need drops at several times or several peaks; a power of the LR needs several
    peaks; what differs with the potential of the checkpoint needs CPT from one that was not annealed.
    """
    several = runs.peaks > 1
    if not runs.continual:
        if several:
            return ["noise_excess", "noise_peaks", "floor", "annealing", "multi_power"]
        return ["noise", "noise_excess", "noise_kernel", "annealing", "multi_power"]
    if not runs.known:
        return ["cpt_unknown_noise", "cpt_unknown", *([] if runs.annealed else ["cpt_unknown_noise_shift"])]
    excess = ["cpt_noise_excess"] if several else []
    potential = [] if runs.annealed else ["cpt_noise_shift", "cpt_shift_potential"]
    return ["cpt_noise", "cpt_one_c", "cpt", "cpt_two_memories", *excess, *potential]


@dataclass(frozen=True)
class Candidate:
    """A law that was tried.

    lambda_: None for a law that reads no annealing area. left_out: mean over the curves left out of the mean
    relative error, over the `folds` whose other curves have a fast fall of the LR; None where there is none. out: why
    it is not chosen. curves: all curves left out.
    """

    law: Law
    lambda_: float | None
    found: Fit
    left_out: float | None
    folds: int
    curves: list[HeldOut]
    out: str = ""


@dataclass(frozen=True)
class Choice:
    """The candidates, the chosen one first; `reason` says how it was chosen, `missing` which runs would tell more."""

    ranked: list[Candidate]
    reason: str
    missing: list[str]

    @property
    def chosen(self) -> Candidate:
        return self.ranked[0]


def choose_law(
    features: FeaturesOf, shift: Shift = "free", laws: Sequence[str] = (), lambda_: float | None = None
) -> Choice:
    """The law for some runs.

    features: the rows of all runs with repeats (see `fitting.leave_one_curve_out`) for a lambda. laws: candidates of
    one's own in place of the rule's. lambda_: None chooses it (`choose_lambda`).
    """
    runs = Runs.of(features(0.0))
    names = list(laws) or candidates(runs)
    return ranked([attempt(get(name, shift), features, runs, lambda_) for name in names], runs)


def ranked(tried: Sequence[Candidate], runs: Runs) -> Choice:
    """The rule, on candidates in the order of `candidates`."""
    if not runs.fast:
        name = tried[0].law.name
        reason = f"no LR falls fast, so that the objective cannot tell laws apart: {name}, with the fewest parameters"
        return Choice(list(tried), reason, missing(runs))
    best = min((one.left_out for one in tried if one.left_out is not None), default=None)
    judged = [replace(one, out=_vanished(one.found) or _misses(one, best)) for one in tried]
    judged.sort(key=lambda one: (bool(one.out), one.found.objective))
    return Choice(judged, f"{judged[0].law.name} has the smallest objective", missing(runs))


def missing(runs: Runs) -> list[str]:
    """Runs that would tell more, a line each."""
    found = []
    if not runs.fast:
        found.append("no LR falls by half of its peak within a fifth of a run: add a run with a fast decay (WSD)")
    if runs.peaks == 1:
        found.append("all runs have one peak LR: for advice on the peak LR add a run at another")
    if runs.continual and runs.known and runs.annealed:
        found.append("all CPT starts from annealed checkpoints: add one from a checkpoint that is not")
    return found


def default_lambda(rows: pd.DataFrame) -> float:
    """1 - 60/T, T the steps of the longest run."""
    return lambda_of(MEMORY, max(len(one.forward) for one in rows[HISTORY].unique()))


def lambda_of(memory: float, steps: int) -> float:
    return max(1 - memory / steps, 0.0)


def choose_lambda(law: Law, features: FeaturesOf) -> float:
    """The lambda of a law: 1 - 60/T, or a neighbour of it with a smaller objective where an LR falls fast.

    A smallest objective at the end of the grid says that the runs do not tell lambda either.
    """
    first = features(0.0)
    runs, usual = Runs.of(first), default_lambda(first)
    if not runs.fast or runs.longest <= MEMORIES[-1]:
        return usual
    tried = {value: _fit(law, features(value)).objective for value in (lambda_of(m, runs.longest) for m in MEMORIES)}
    best = min(tried, key=lambda value: tried[value])
    return usual if best in (min(tried), max(tried)) else best


def attempt(law: Law, features: FeaturesOf, runs: Runs, lambda_: float | None = None) -> Candidate:
    """A law fitted to all runs, and to all but one in turn."""
    reads = any(name.startswith("s2") for name in law.inputs)
    if not reads:
        lambda_ = None
    elif lambda_ is None:
        lambda_ = choose_lambda(law, features)
    rows = features(lambda_of(MEMORY, runs.longest) if lambda_ is None else lambda_)
    found = _fit(law, rows)
    curves = _left_out(law, found, rows)
    groups = rows["run"].map(without_seed)
    errors = [curve.mean_error for curve in curves if Runs.of(rows[groups != curve.group]).fast]
    return Candidate(law, lambda_, found, float(np.mean(errors)) if errors else None, len(errors), curves)


def _left_out(law: Law, found: Fit, rows: pd.DataFrame) -> list[HeldOut]:
    """What the fits to all curves but one say of that one; nothing where there are too few."""
    groups = rows["run"].map(without_seed)
    if groups.nunique() < 2:
        return []
    slow = HISTORY in law.inputs  # to search, so that the refits start from the fit alone
    options = {"n_screen": 0, "starts": [found.parameters]} if slow else {}
    try:
        return leave_one_curve_out(law, counted(rows) if slow else rows, rows["loss"], groups, **options).curves
    except UserError:  # too few rows are left for the law
        return []


def _fit(law: Law, rows: pd.DataFrame) -> Fit:
    return search(law, once(rows)[0])[0]


def _vanished(found: Fit) -> str:
    """The terms that a fit has none of: a law without them says the same."""
    gone = [t.coefficient.name for t in found.law.free if t.inputs and found.parameters[t.coefficient.name] == 0]
    return f"{', '.join(gone)} is 0" if gone else ""


def _misses(one: Candidate, best: float | None) -> str:
    if best is None or one.left_out is None or one.left_out <= WORST * best:
        return ""
    return f"misses the curves left out by {one.left_out:.2%}, {one.left_out / best:.1f} times the best of the laws"


def described(choice: Choice) -> list[Mapping[str, object]]:
    """A mapping a candidate, the chosen one first, for JSON."""
    return [
        {
            "law": one.law.name,
            "lambda": one.lambda_,
            "parameters": len(one.law.parameters),
            "objective": one.found.objective,
            "left_out": one.left_out,
            "folds": one.folds,
            "condition": one.found.condition,
            "out": one.out or None,
        }
        for one in choice.ranked
    ]
