"""The words about Figure 21."""

from collections.abc import Mapping

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig21.result import OutOfDomain, Result
from cpt_dynamics.figures.kit import published
from cpt_dynamics.figures.kit.latex import escape, fixed, number
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: Result) -> Text:
    sets = result.sets
    return Text(
        "Losses on sets that no run of the figure trains on, against the linear combination of the losses on"
        r" \Dpt{} and \Dcpt{} (Eq.~6 of the paper), CPT only. The weights above each panel come from the grey runs;"
        " the coloured ones were held out and differ in LR schedule, in the checkpoint and in the peak. To see:"
        " whether the points lie on the line, which has slope 1 and is not fitted to them.",
        r"eight such sets, whose weights (\Dcpt{}, \Dpt{}) are for other corpora and no target here: "
        + f"{_printed_weights()}.",
        [_weights(sets), _intercept(sets)] if sets else ["There is no out-of-domain set at this scale."],
    )


def _printed_weights() -> str:
    found = published.read()["out_of_domain"]["weights"]
    return "; ".join(
        f"{escape(name)} {fixed(pair['domain'], 3).latex}, {fixed(pair['general'], 3).latex}"
        for name, pair in found.items()
    )


def _weights(sets: Mapping[str, OutOfDomain]) -> str:
    """Weights here with their intervals, and R2 on the held-out runs."""
    said = (f"{escape(name)} {_weight(found, 'domain')}, {_weight(found, 'general')}" for name, found in sets.items())
    reason = next(iter(sets.values())).interval_reason
    r2 = "; ".join(f"{escape(name)} {fixed(found.heldout.r2, 3).latex}" for name, found in sets.items())
    return (
        rf"Weights (\Dcpt{{}}, \Dpt{{}}) here: {'; '.join(said)}. In brackets: {escape(reason)}."
        f" $R^2$ on the held-out runs (below 0 where the mean of the losses is a better prediction): {r2}."
    )


def _weight(found: OutOfDomain, key: str) -> str:
    value = fixed(found.weights[key], 3).latex
    if not found.intervals:
        return value
    low, high = (fixed(end, 3).latex for end in found.intervals[key])
    return f"{value} [{low} to {high}]"


def _intercept(sets: Mapping[str, OutOfDomain]) -> str:
    """How much a constant added to Eq. 6 would help."""
    ratios = {name: found.intercept.gain for name, found in sets.items() if found.intercept.gain is not None}
    said = "; ".join(f"{escape(name)} {number(ratio, 2).latex}" for name, ratio in ratios.items())
    return (
        "The paper's form has no constant, and the checks are of that form. With one, fitted to the same losses, the"
        f" error on held-out runs becomes this many times as large: {said or 'not defined'}."
    )
