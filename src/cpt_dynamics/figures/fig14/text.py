"""The words about Figure 14."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig14.result import Result, Set
from cpt_dynamics.figures.kit import equations, published
from cpt_dynamics.figures.kit.latex import fixed, number
from cpt_dynamics.figures.kit.text import SETS, Text


def text(data: FigureData, result: Result) -> Text:
    forms = " and ".join(
        equations.printed_shift(published.find("fig14", role, "power").parameters, "s") for role in SETS
    )
    return Text(
        "The distribution shift (CPT loss minus the hidden pre-training loss of the same model) at constant learning"
        r" rate for several model sizes, with one power form (Eq.~\ref{eq:shift}) for all of them. To see: whether the"
        " curves of the sizes lie on each other.",
        rf"overlapping curves of 106M, 594M and 1720M parameters and one form for all, {forms} (magnitudes on \Dpt{{}}"
        r" and \Dcpt{}).",
        [_note(found, role) for role, found in result.sets.items()],
    )


def _note(found: Set, role: Role) -> str:
    size = found.size
    interval = ""
    if size.low is not None:
        interval = f" (90\\,\\% interval {number(size.low, 2).latex} to {number(size.high, 2).latex})"
    return (
        f"On {SETS[role]} one form for all sizes has $R^2$ {fixed(found.form.r2, 3).latex}. The relative change"
        f" over the sizes is {number(size.slope, 2).latex}{interval}, from {size.n} runs: one a size."
    )
