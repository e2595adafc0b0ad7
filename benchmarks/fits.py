"""Fitting speed beside the paper's own procedure on the same curves, and the speed of the areas."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np

from cpt_dynamics.areas import areas, warmup_length
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.fit import Fit, fit
from cpt_dynamics.laws import Array, Parameters, get
from cpt_dynamics.schedules import Schedule, lr

PEAK, WARMUP, PT, CPT = 2e-4, 500, 40_000, 10_000  # the scale of arXiv 2505.07796: peak LR, steps
NOISE = 0.002  # standard deviation of the logarithm of a loss
FIRST = 1000  # first evaluated step
DENSE = 10  # evaluations 1, 2, 4, 8 ... steps after the transfer, where the shift is steepest
PRETRAINING = (
    Schedule(),
    Schedule(shape="wsd", end=0.1),
    Schedule(shape="cosine", end=0.1),
    Schedule(shape="linear", end=0.3),
    Schedule(shape="wsd", decay_share=0.1, end=0.5),
)
CONTINUAL = (
    Schedule(peak="last"),
    Schedule(shape="linear", peak="last"),
    Schedule(shape="cosine", end=0.1),
    Schedule(shape="wsd"),
)
MOST = len(PRETRAINING) * len(CONTINUAL)
SHORT = 400  # steps of the schedule on which the areas are compared with their definition
T = TypeVar("T")


def compare_fits(
    truth: Parameters, curves: int = 20, points: int = 500, starts: int = 200, rounds: int = 5, seed: int = 0
) -> dict[str, Any]:
    """Seconds and objectives of variable projection and of the paper's procedure on the same synthetic curves.

    The curves are those of Eq. 4 (arXiv 2505.07796) at `truth`, with noise (see `synthetic`). All fit Eq. 4 with a
    shift of either sign by `fitting.fit`: the kit's default, and L-BFGS from `starts` starts with numerical and
    with analytic gradients. The paper's procedure runs once each; the `rounds` of the default come before, between
    and after these. `speedup` and `speedup_analytic` are the seconds of the paper's procedure over the median of
    the default's; `objective_ratio` is the default's objective over the better one of the paper's procedure.
    """
    if starts < 1 or rounds < 1:
        raise UserError("--starts and --rounds must be at least 1")
    features, loss = synthetic(truth, curves, points, seed)
    sides: dict[str, dict[str, Any]] = {
        "varpro": {"method": "varpro"},
        "numerical": {"method": "paper", "gradient": "numerical", "n_starts": starts},
        "analytic": {"method": "paper", "gradient": "analytic", "n_starts": starts},
    }
    for options in sides.values():  # imports and allocations are not timed
        fit("cpt", features, loss, **{**options, "n_starts": 1})
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    found: dict[str, Fit] = {}
    for side in _turns(rounds):
        took, found[side] = _timed(partial(fit, "cpt", features, loss, **sides[side]))
        seconds[side].append(took)
    medians = {side: statistics.median(took) for side, took in seconds.items()}
    result: dict[str, Any] = {
        "speedup": round(medians["numerical"] / medians["varpro"], 1),
        "speedup_analytic": round(medians["analytic"] / medians["varpro"], 1),
        "objective_ratio": found["varpro"].objective / min(found[side].objective for side in ("numerical", "analytic")),
    }
    for side, fitted in found.items():
        result[side] = {
            "seconds": round(medians[side], 4),
            "rounds": [round(took, 4) for took in seconds[side]],
            "objective": fitted.objective,
            "n_starts": fitted.n_starts,
            "n_agree": fitted.n_agree,
        }
    return {**result, "curves": curves, "points": points, "rows": len(loss), "noise": NOISE, "seed": seed}


def synthetic(truth: Parameters, curves: int, points: int, seed: int) -> tuple[dict[str, Array], Array]:
    """Areas and losses, each [curves * points], of Eq. 4 at `truth` with a relative noise of `NOISE`.

    Every curve is one PT of 40,000 steps and one CPT of 10,000 at a peak LR of 2e-4, evaluated evenly from step
    `FIRST` on and more densely after the transfer; the first curves differ in both schedules.
    """
    if not 1 <= curves <= MOST:
        raise UserError(f"--curves is {curves}: choose 1 to {MOST}, the pairs of schedules that there are")
    if not 2 * DENSE <= points <= PT:
        raise UserError(f"--points is {points}: choose {2 * DENSE} to {PT}")
    dense = PT + 2 ** np.arange(DENSE)
    others = np.setdiff1d(np.arange(FIRST, PT + CPT + 1), dense)
    even = others[np.linspace(0, len(others) - 1, points - DENSE).round().astype(int)]
    at = np.sort(np.concatenate([even, dense])) - 1
    # 5 and 4 have no common factor, so that the pairs differ
    plans = [_run(PRETRAINING[i % len(PRETRAINING)], CONTINUAL[i % len(CONTINUAL)]) for i in range(curves)]
    found = [areas(plan, PT) for plan in plans]
    names = ("s1pt", "s2pt", "s1cpt", "s2cpt")
    features = {name: np.concatenate([getattr(one, name)[at] for one in found]) for name in names}
    noise = np.random.default_rng(seed).normal(0, NOISE, curves * points)
    return features, get("cpt").predict(truth, features) * np.exp(noise)


def time_areas(steps: int = 1_000_000, rounds: int = 9) -> dict[str, Any]:
    """Milliseconds that the areas of a schedule of `steps` steps take, and how exact they are on a short one.

    `milliseconds` is the median of the rounds. `max_relative_difference`: on a schedule of `SHORT` steps, the
    largest difference between an area and its definition, over the largest value of that area.
    """
    if steps < 100 or rounds < 1:
        raise UserError("--steps must be at least 100 and --rounds at least 1")
    difference = areas_difference()  # before the clock runs, since it also imports what the areas need
    rates, pretraining = long_schedule(steps)
    times = [1000 * _timed(partial(areas, rates, pretraining))[0] for _ in range(rounds)]
    return {
        "milliseconds": round(statistics.median(times), 2),
        "max_relative_difference": difference,
        "steps": steps,
        "rounds": [round(took, 2) for took in times],
    }


def areas_difference() -> float:
    """Largest relative difference between the areas of a short schedule and their definition (see `time_areas`)."""
    rates, pretraining = long_schedule(SHORT)
    flat, peak = rates.copy(), warmup_length(rates[:pretraining])
    flat[:peak] = rates[peak - 1]  # a warm-up counted as if the LR were at its peak
    before = np.arange(SHORT) < pretraining
    momentum = defined_momentum(flat, 0.999)
    found = areas(rates, pretraining)
    pairs = (
        (found.s1pt, np.where(before, flat, 0.0)),
        (found.s1cpt, np.where(before, 0.0, flat)),
        (found.s2pt, np.where(before, momentum, 0.0)),
        (found.s2cpt, np.where(before, 0.0, momentum)),
    )
    return max(_relative(area, np.cumsum(terms)) for area, terms in pairs)


def defined_momentum(rates: Array, lambda_: float) -> Array:
    """`sum over k <= i of (lr_{k-1} - lr_k) * lambda^(i-k)` of every step i, [steps], term by term.

    Its running sum is S2 (arXiv 2505.07796, below Eq. 1); the LR before step 1 is taken as that of step 1.
    """
    drops = [0.0, *(rates[:-1] - rates[1:]).tolist()]
    return np.array([sum(drops[k] * lambda_ ** (i - k) for k in range(i + 1)) for i in range(len(drops))])


def long_schedule(steps: int) -> tuple[Array, int]:
    """The LR of a warm-up, a cosine, a re-warm-up and a WSD in `steps` steps, and how many of them are PT."""
    pretraining = steps * 3 // 5
    first = lr(Schedule(shape="cosine", end=0.1), pretraining, PEAK, steps // 50)
    second = lr(Schedule(shape="wsd"), steps - pretraining, PEAK, steps // 50, float(first[-1]))
    return np.concatenate([first, second]), pretraining


def _run(before: Schedule, after: Schedule) -> Array:
    first = lr(before, PT, PEAK, WARMUP)
    return np.concatenate([first, lr(after, CPT, PEAK, WARMUP, float(first[-1]))])


def _turns(rounds: int) -> list[str]:
    """The paper's two procedures, with the rounds of the default before, between and after them."""
    before, between, after = (len(part) for part in np.array_split(np.arange(rounds), 3))
    return [*["varpro"] * before, "numerical", *["varpro"] * between, "analytic", *["varpro"] * after]


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    """Seconds of a call, and what it returned."""
    began = time.perf_counter()
    found = call()
    return time.perf_counter() - began, found


def _relative(found: Array, expected: Array) -> float:
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
