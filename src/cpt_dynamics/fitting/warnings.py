"""What the user of a fit should know about its data: one line each, with the remedy."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpt_dynamics.fitting.identifiability import Identifiability, collinear
from cpt_dynamics.laws import Array, Features, Law
from cpt_dynamics.laws.base import HISTORY

EARLY = 0.05  # share of the largest argument of the shift below which some row is needed for E
# Nine synthetic curves with a noise of 0.002: alpha has a relative standard deviation of 4 % where S1 spans a
# factor of 5, 10 % at a factor of 3, 26 % at 2.4 and 59 % at 2.
SPAN = 2.5
SHARES = ("replay",)  # between 0 and 1, and what is left of them counts as much


def fit_warnings(law: Law, x: Mapping[str, Array], features: Features, known: Identifiability) -> list[str]:
    """What the data of a fit lack; `x`: the inputs of the law (`Law.arrays`), `known`: at the fitted parameters."""
    return [
        *few_curves(law, features, x),
        *same_annealing(law, x),
        *constant_lr(law, x),
        *no_transfer(law, x),
        *nothing_early(law, x),
        *short_span(law, x),
        *one_value(law, x),
        *(f"{name} has no effect on the predictions: it is not determined" for name in known.undetermined),
        *(f"the data do not tell {', '.join(names)} apart: use their combination only" for names in collinear(known)),
    ]


def few_curves(law: Law, features: Features, x: Mapping[str, Array]) -> list[str]:
    """A law of whole curves on one run alone."""
    runs = column(features, "run")
    if runs is None or len(set(runs.tolist())) > 1 or not {"s1pt", "s1cpt"} & set(x) or law.residual != "log":
        return []
    return [f"all rows are of the run {runs[0]}: one curve cannot show how the law predicts; add other schedules"]


def same_annealing(law: Law, x: Mapping[str, Array]) -> list[str]:
    """C1 where the annealing of PT does not vary."""
    found, rows = [], continual(x)
    for area in _areas_of(law, "C1"):
        if constant(x[area]):
            found.append("S2pt is the same in all rows, so C1 cannot be told from L0: vary the annealing of PT")
        elif rows.any() and constant(x[area][rows]):
            found.append("all transfers start at one S2pt, so C1 rests on PT rows alone: vary the annealing of PT")
    return found


def constant_lr(law: Law, x: Mapping[str, Array]) -> list[str]:
    """C2 where no LR of CPT changes, and C of the law of PT where no LR changes at all."""
    found, rows = [], continual(x)
    if rows.any() and any(not np.any(x[area]) for area in _areas_of(law, "C2")):
        found.append("the LR of CPT never changes, so C2 is not determined: add a run that anneals in CPT")
    areas = _areas_of(law, "C")
    if areas and not any(np.any(x[area]) for area in areas):
        found.append("the LR never changes, so C is not determined: add a run that anneals")
    return found


def no_transfer(law: Law, x: Mapping[str, Array]) -> list[str]:
    """A shift term without a row that it acts on."""
    if "s1cpt" not in x or "B" not in law.linear or continual(x).any():
        return []
    return ["no row comes after a transfer: the shift term is not determined; add rows of CPT"]


def nothing_early(law: Law, x: Mapping[str, Array]) -> list[str]:
    """E without rows shortly after the transfer, where the shift starts."""
    found = []
    for name in dict.fromkeys(p.per for p in law.parameters if p.name == "E" and p.per in x):
        after = x[name][x[name] > 0]
        if len(after) and after.min() >= EARLY * after.max():
            found.append(
                f"no row has {name} below {EARLY:.0%} of its largest value, so E is hardly determined:"
                " evaluate shortly after the transfer"
            )
    return found


def short_span(law: Law, x: Mapping[str, Array]) -> list[str]:
    """A and alpha where the LR sum hardly grows."""
    if "alpha" not in law.nonlinear or not {"s1pt", "s1cpt"} <= set(x):
        return []
    area = x["s1pt"] + x["s1cpt"]
    if area.min() <= 0 or area.max() >= SPAN * area.min():
        return []
    return [
        f"S1 grows by a factor of {area.max() / area.min():.2g} only, so A and alpha are hardly determined:"
        " add earlier rows or longer runs"
    ]


def one_value(law: Law, x: Mapping[str, Array]) -> list[str]:
    """Laws across replay ratios or model sizes on one of them."""
    found, rows = [], continual(x)
    after = rows if rows.any() else slice(None)
    if "replay" in x and constant(x["replay"][after]):
        found.append("all rows of CPT have one replay ratio, so its effect is not determined: add other ratios")
    if "params" in x and constant(x["params"]):
        found.append("all rows are of one model size, so the effect of size is not determined: add other sizes")
    return found


def _areas_of(law: Law, coefficient: str) -> list[str]:
    """The annealing areas that a free coefficient multiplies."""
    return [i for term in law.free if term.coefficient.name == coefficient for i in term.inputs if i.startswith("s2")]


def input_ranges(features: Features, x: Mapping[str, Array]) -> dict[str, list[float]]:
    """Smallest and largest value, over the rows, of what a prediction should not leave.

    The inputs of the law in `x`; `replay` (over rows of CPT) and `params` where `features` has them; and
    `peak_lr_pt`, `peak_lr_cpt`, the peak LRs of the runs, from the column `history` or else `lr`.
    """
    values = {name: array for name, array in x.items() if name != HISTORY}
    for name in ("replay", "params"):
        found = column(features, name)
        if found is not None:
            values[name] = np.asarray(found, dtype=np.float64)
    after = column(features, "s1cpt")
    if after is not None and np.any(after > 0):
        values |= {name: values[name][after > 0] for name in SHARES if name in values}
    values |= _peaks(features)
    finite = {name: array for name, array in values.items() if len(array) and np.isfinite(array).all()}
    return {name: [float(array.min()), float(array.max())] for name, array in finite.items()}


def _peaks(features: Features) -> dict[str, Array]:
    """Peak LRs of PT and of CPT, one a run, where the features tell them."""
    found: dict[str, list[float]] = {"peak_lr_pt": [], "peak_lr_cpt": []}
    histories, rates, after = (column(features, name) for name in (HISTORY, "lr", "s1cpt"))
    if histories is not None:
        for history in dict.fromkeys(histories.tolist()):
            switch = history.pretraining_steps
            for name, part in zip(found, (history.forward[:switch], history.forward[switch:]), strict=True):
                found[name] += [float(part.max())] if len(part) else []
    elif rates is not None and after is not None:
        for rows in runs(features, len(rates)):
            for name, inside in zip(found, (after[rows] <= 0, after[rows] > 0), strict=True):
                found[name] += [float(rates[rows][inside].max())] if inside.any() else []
    return {name: np.array(values) for name, values in found.items() if values}


def column(features: Features, name: str) -> NDArray[Any] | None:
    """A column as an array, None where there is none."""
    try:
        return np.atleast_1d(np.asarray(features[name]))
    except KeyError:
        return None


def runs(features: Features, n: int) -> Iterator[NDArray[np.intp]]:
    """The rows of every run; where no column `run` tells them apart, rows of one LR history, or all."""
    labels = column(features, "run")
    labels = column(features, HISTORY) if labels is None else labels
    if labels is None:
        yield np.arange(n)
        return
    number = {label: i for i, label in enumerate(dict.fromkeys(labels.tolist()))}
    codes = np.array([number[label] for label in labels.tolist()])
    for code in range(len(number)):
        yield np.flatnonzero(codes == code)


def continual(x: Mapping[str, Array]) -> NDArray[np.bool_]:
    """Which rows come after a transfer, [n]; none where the law does not read S1cpt."""
    return np.asarray(x["s1cpt"] > 0) if "s1cpt" in x else np.zeros(len(next(iter(x.values()))), dtype=bool)


def constant(values: Array) -> bool:
    """Whether all values are equal but for rounding."""
    return bool(np.ptp(values) <= 1e-9 * np.max(np.abs(values), initial=0.0))
