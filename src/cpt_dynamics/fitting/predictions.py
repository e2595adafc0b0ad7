"""What is doubtful in predictions from a fit: one line each, with the remedy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpt_dynamics.fitting.fit import Fit
from cpt_dynamics.fitting.warnings import SHARES, column, input_ranges, runs
from cpt_dynamics.laws import Array, Features
from cpt_dynamics.laws.memories import Remembered

FACTOR = 1.5  # how far beyond the fitted range an input may be before a prediction warns


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
    theirs = input_ranges(features, found.law.arrays(features))
    lines = []
    for name in theirs.keys() & found.ranges.keys():
        ours, its = found.ranges[name], theirs[name]
        outside = _outside(ours, its)
        if name in SHARES and not outside:
            outside = bool(_outside([1 - v for v in ours[::-1]], [1 - v for v in its[::-1]]))
        if outside:
            lines.append(
                f"{name} is {_span(its)} in the prediction and was {_span(ours)} in the fit:"
                f" more than a factor of {FACTOR:g} outside; add runs that reach there"
            )
    return sorted(lines)


def _outside(fitted: list[float], predicted: list[float]) -> bool:
    """Whether a range leaves the fitted one by more than `FACTOR` (in 0 or across it: at all)."""
    low, high = fitted
    rounding = 1e-6 * max(abs(low), abs(high))
    least = (low / FACTOR if low > 0 else low * FACTOR) - rounding
    most = (high * FACTOR if high > 0 else high / FACTOR) + rounding
    return predicted[0] < least or predicted[1] > most


def _span(values: list[float]) -> str:
    low, high = (f"{value:.3g}" for value in values)
    return low if low == high else f"{low} to {high}"
