"""The words about Figure 9."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig09.result import Direction, Result
from cpt_dynamics.figures.kit.latex import escape, fixed
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: Result) -> Text:
    directions = (("rises", result.directions.rising), ("falls", result.directions.falling))
    return Text(
        "The set whose loss rises most during CPT and the one whose loss falls most, on three held-out runs: those of"
        " the smallest, the median and the largest error among all held-out runs. Lines put the measured losses on"
        r" \Dpt{} and \Dcpt{} into Eq.~6, or those of Eq.~\ref{eq:law} fitted to other schedules. To see: whether both"
        " directions follow from the same two losses.",
        "one upward and one downward set that Eq.~6 follows, for two learning rate schedules.",
        [_note(verb, found) for verb, found in directions if found is not None],
    )


def _note(verb: str, found: Direction) -> str:
    return (
        f"{escape(found.validation)} {verb} by {fixed(abs(found.change), 3).latex} nats. From the losses that"
        rf" Eq.~\ref{{eq:law}} predicts instead of the measured ones, so from the learning rates alone, its error"
        f" is {fixed(found.mean_absolute_error.law, 4).latex} nats."
    )
