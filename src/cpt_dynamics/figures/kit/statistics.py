"""The two tests of the findings. Their unit is the run: the points along one curve are not independent."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from cpt_dynamics.figures.kit.result import TestedMean, TestedSlope

LEVEL = 0.1  # of the interval whose ends, both inside a margin, make equivalence at the 5 % level (TOST)


def mean_test(values: Sequence[float], unit: str) -> TestedMean:
    """Whether the mean of values, one a run (or seed, or pair of runs), is below zero.

    values: [n], taken as independent and normal. `low`, `high`: 90 % interval of the mean; `p` of the one-sided
    t-test against a mean of at least zero. All three are None for fewer than two values or without spread.
    """
    found = np.asarray(values, dtype=np.float64)
    mean = float(found.mean()) if len(found) else None
    if len(found) < 2 or np.ptp(found) == 0:
        return TestedMean(mean=mean, n=len(found), unit=unit)
    from statsmodels.stats.weightstats import DescrStatsW  # takes a second to import, so only where it is used

    described = DescrStatsW(found)
    low, high = described.tconfint_mean(alpha=LEVEL)
    _, p, _ = described.ttest_mean(0.0, alternative="smaller")
    return TestedMean(mean=mean, n=len(found), unit=unit, low=float(low), high=float(high), p=float(p))


def slope_test(x: Sequence[float], y: Sequence[float], unit: str) -> TestedSlope:
    """Least squares of y on x, one point a run: `slope` with its 90 % interval (`low`, `high`).

    x, y: [n], errors independent and normal. The interval is None for fewer than three points.
    """
    if len(x) < 2 or np.ptp(x) == 0:
        return TestedSlope(slope=None, n=len(x), unit=unit)
    from statsmodels.regression.linear_model import OLS
    from statsmodels.tools import add_constant

    found = OLS(np.asarray(y, dtype=np.float64), add_constant(np.asarray(x, dtype=np.float64))).fit()
    low, high = map(float, found.conf_int(alpha=LEVEL)[1]) if len(x) > 2 else (None, None)
    return TestedSlope(slope=float(found.params[1]), low=low, high=high, n=len(x), unit=unit)


def least(values: Sequence[float | None]) -> float | None:
    """The smallest value; None where there is none or one is not defined."""
    known = [value for value in values if value is not None]
    return min(known) if known and len(known) == len(values) else None


def falls(values: Sequence[float]) -> bool:
    """Whether there are several values and each is below the one before it."""
    return len(values) > 1 and all(one > two for one, two in pairwise(values))
