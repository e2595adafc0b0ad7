"""Effects from the numbers of independent units, with what an interval by Student's t is made of."""

from collections.abc import Mapping

import numpy as np

from cpt_dynamics.figures.contrasts.result import Effect, Numbers


def mean_of(units: Mapping[str, float]) -> Effect:
    """The mean over units, taken as independent and normal."""
    values = np.array(list(units.values()), dtype=np.float64)
    n = len(values)
    error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else None
    return Effect(
        estimate=float(values.mean()), standard_error=error, freedom=n - 1 if n > 1 else None, units=dict(units)
    )


def slope_of(places: Mapping[str, float], units: Mapping[str, float]) -> Effect:
    """The slope of a least-squares line through the units at their places; errors independent and normal."""
    x, y = np.array([places[name] for name in units]), np.array(list(units.values()))
    b, a = np.polyfit(x, y, 1)
    freedom = len(x) - 2
    error = None
    if freedom > 0:
        error = float(np.sqrt(np.sum((y - a - b * x) ** 2) / freedom / np.sum((x - x.mean()) ** 2)))
    known = freedom if freedom > 0 else None
    return Effect(estimate=float(b), standard_error=error, freedom=known, units=dict(units), alike=False)


def ratio_of(above: Mapping[str, float], below: Mapping[str, float]) -> Effect:
    """The ratio of two means over the same units, beside the ratio of each."""
    return Effect(estimate=over(above, below), units={name: above[name] / below[name] for name in above})


def largest_of(units: Mapping[str, float], size: bool = False) -> Effect:
    """The largest of the units; of their sizes with `size`."""
    return Effect(estimate=max(abs(value) if size else value for value in units.values()), units=dict(units))


def single(value: float, unit: str) -> Effect:
    """The number of one unit."""
    return Effect(estimate=value, units={unit: value})


def over(above: Mapping[str, float], below: Mapping[str, float]) -> float:
    """The ratio of two means."""
    return mean(above) / mean(below)


def mean(units: Mapping[str, float]) -> float:
    return float(np.mean(list(units.values())))


def minus(one: Mapping[str, float], other: Mapping[str, float]) -> Numbers:
    """Differences unit by unit."""
    return {name: one[name] - other[name] for name in one}


def slope(x: list[float], y: list[float]) -> float:
    """Of a least-squares line."""
    return float(np.polyfit(x, y, 1)[0])


class Shown:
    """Numbers by name and loss, put together loss by loss."""

    def __init__(self) -> None:
        self.all: dict[str, Numbers] = {}

    def add(self, loss: str, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self.all.setdefault(name, {})[str(loss)] = value
