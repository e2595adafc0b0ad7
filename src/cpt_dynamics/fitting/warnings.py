"""What the user of a fit, or of a prediction from one, should know: one line each, with the remedy."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cpt_dynamics.laws import Array, Features, Law
from cpt_dynamics.laws.base import HISTORY

if TYPE_CHECKING:
    from cpt_dynamics.fitting.fit import Fit, Identifiability

COLLINEAR = 1e-7  # singular value, relative to the largest one, of a direction that a fit warns about
TAKES_PART = 0.1  # weight in a direction from which on a parameter is named
EARLY = 0.05  # share of the largest argument of the shift below which some row is needed for E
# Nine synthetic curves with a noise of 0.002: alpha has a relative standard deviation of 4 % where S1 spans a
# factor of 5, 10 % at a factor of 3, 26 % at 2.4 and 59 % at 2.
SPAN = 2.5
FACTOR = 1.5  # how far beyond the fitted range an input may be before a prediction warns
SHARES = ("replay",)  # between 0 and 1, and what is left of them counts as much


def fit_warnings(law: Law, x: Mapping[str, Array], features: Features, known: "Identifiability") -> list[str]:
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


def collinear(known: "Identifiability") -> list[list[str]]:
    """The parameters of each direction along which nothing changes (singular value below `COLLINEAR`)."""
    pairs = zip(known.singular_values[::-1], known.directions[::-1], strict=False)
    return [involved(direction) for value, direction in pairs if value < COLLINEAR * known.singular_values[0]]


def involved(direction: Mapping[str, float]) -> list[str]:
    """The parameters that take part in a direction of `Identifiability`."""
    return [name for name, weight in direction.items() if abs(weight) > TAKES_PART]


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


def prediction_warnings(found: "Fit", features: Features) -> list[str]:
    """What is doubtful in predicting the rows of `features` with a fit.

    Steps at an LR of 0 (see `untrained`), and inputs that leave the fitted ranges (see `extrapolation`).
    """
    return [*untrained(found, features), *extrapolation(found, features)]


def untrained(found: "Fit", features: Features) -> list[str]:
    """Falls of the predicted loss while the LR is 0.

    S2 goes on growing after the LR has reached 0, as its momentum fades slowly, and with it the predicted loss
    falls, though such steps change no weight (a limit of every law with S2). Steps at an LR of 0 show as rows
    between which S1 stands still; a single one, which ends a decay to 0, is no cause of concern.
    """
    if not any(name.startswith("s2") for name in found.law.inputs):
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


def extrapolation(found: "Fit", features: Features) -> list[str]:
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
