"""What is doubtful in predictions from a fit: one line each, with the remedy."""

from collections.abc import Container, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpt_dynamics.fitting.fit import Fit
from cpt_dynamics.fitting.warnings import SHARES, column, input_ranges, runs
from cpt_dynamics.laws import Array, Features
from cpt_dynamics.laws.memories import Remembered

FACTOR = 1.5  # how far beyond the fitted range an input may be before a prediction warns
NEAR = 1.05  # how far beyond it is still the same value: peaks of logged LRs are rounded
PEAKS = {"peak_lr_pt": "PT", "peak_lr_cpt": "CPT"}


def prediction_warnings(found: Fit, features: Features) -> list[str]:
    """What is doubtful in predicting the rows of `features` with a fit.

    Steps at an LR of 0 (see `untrained`), and inputs that leave the fitted ranges (see `extrapolation`).
    """
    return [*untrained(found, features), *extrapolation(found, features)]


def untrained(found: Fit, features: Features) -> list[str]:
    """Falls of the predicted loss while the LR is 0.

    S2 goes on growing after the LR has reached 0, as its momentum fades slowly, and with it the predicted loss
    falls, though such steps change no weight (a limit of every law with S2). Steps at an LR of 0 show as rows
    between which S1 stands still; a single one, which ends a decay to 0, is no cause of concern.
    """
    remembers = any(isinstance(term, Remembered) for term in found.law.terms)
    if not remembers and not any(name.startswith("s2") for name in found.law.inputs):
        return []
    areas = [area for area in (column(features, "s1pt"), column(features, "s1cpt")) if area is not None]
    if not areas:
        return []
    total, after = np.sum(areas, axis=0), column(features, "s1cpt")
    steps = column(features, "step")
    steps = np.arange(1, len(total) + 1) if steps is None else steps
    predicted, lines = found.predict(features), []
    for rows in runs(features, len(total)):
        rows = rows[np.argsort(steps[rows], kind="stable")]
        n, fall = _idle(steps[rows], total[rows], predicted[rows])
        if fall <= 0:
            continue
        curve = predicted[rows]
        if after is not None and np.any(after[rows] > 0):
            curve = curve[after[rows] > 0]
        whole = float(curve.max() - curve[-1])
        name = column(features, "run")
        run = "" if name is None else f"run {name[rows[0]]}: "
        share = f" ({fall / whole:.0%} of its fall of {whole:.3g} from its highest value)" if whole > 0 else ""
        lines.append(
            f"{run}the LR is 0 for {n} steps, in which S2 keeps growing and the prediction falls by {fall:.2g}"
            f" nats{share} though nothing is trained: end the prediction where the LR reaches 0"
        )
    return lines


def _idle(steps: NDArray[Any], area: Array, predicted: Array) -> tuple[int, float]:
    """Steps at an LR of 0 between the rows of one run, and how far the prediction falls in them."""
    still = np.diff(area) <= 1e-12 * np.max(np.abs(area), initial=0.0)
    bounds = np.flatnonzero(np.diff(still.astype(int), prepend=0, append=0))
    n, fall = 0, 0.0
    for first, last in bounds.reshape(-1, 2).tolist():  # rows of one stretch
        if steps[last] - steps[first] > 1:
            n += int(steps[last] - steps[first])
            fall += float(predicted[first] - predicted[last])
    return n, fall


def extrapolation(found: Fit, features: Features) -> list[str]:
    """Inputs that leave the fitted range by more than a factor `FACTOR`."""
    return [
        f"{name} is {span(its)} in the prediction and was {span(ours)} in the fit:"
        f" more than a factor of {FACTOR:g} outside; add runs that reach there"
        for name, (ours, its) in outside(found, features, FACTOR).items()
    ]


def outside(found: Fit, features: Features, factor: float = NEAR) -> dict[str, tuple[list[float], list[float]]]:
    """What leaves the fitted ranges by more than a factor: name -> the fitted range and that of the rows."""
    theirs = input_ranges(features, found.law.arrays(features))
    both = {name: (found.ranges[name], theirs[name]) for name in sorted(theirs.keys() & found.ranges.keys())}
    return {name: (ours, its) for name, (ours, its) in both.items() if leaves(name, ours, its, factor)}


def leaves(name: str, fitted: Sequence[float], here: Sequence[float], factor: float = NEAR) -> bool:
    """Whether a range leaves the fitted one by more than a factor (in 0 or across it: at all)."""
    if _outside(fitted, here, factor):
        return True
    return name in SHARES and _outside([1 - v for v in fitted[::-1]], [1 - v for v in here[::-1]], factor)


def _outside(fitted: Sequence[float], here: Sequence[float], factor: float) -> bool:
    low, high = fitted
    rounding = 1e-6 * max(abs(low), abs(high))
    least = (low / factor if low > 0 else low * factor) - rounding
    most = (high * factor if high > 0 else high / factor) + rounding
    return bool(here[0] < least or here[1] > most)


def across_peaks(found: Fit, names: Container[str]) -> list[str]:
    """Laws that read S2 with one lambda, where peak LRs differ or one is asked for that was not fitted.

    names: what is outside of the fitted ranges (see `outside`).
    """
    if not any(name.startswith("s2") for name in found.law.inputs):
        return []
    remedy = "such laws err across peak LRs: fit with --law auto, or with a law of noise (cpt_noise, cpt_noise_excess)"
    what = f"law {found.law.name} reads S2 with one lambda"
    for name, phase in PEAKS.items():
        if name in names:
            return [f"{what}, and no fitted run has such a peak LR of {phase}; {remedy}"]
    for name, phase in PEAKS.items():
        low, high = found.ranges.get(name, (1.0, 1.0))
        if high > NEAR * low:
            return [f"{what}, and the peak LRs of {phase} in the fit are {low:.3g} to {high:.3g}; {remedy}"]
    return []


def span(values: Sequence[float]) -> str:
    low, high = (f"{value:.3g}" for value in (values[0], values[-1]))
    return low if low == high else f"{low} to {high}"
