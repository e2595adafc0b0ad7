"""The words about the figure."""

from cpt_dynamics.figures.gains.result import Result

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: Result) -> Text:
    return Text(r"Losses of CPT runs at the transfer and at their end, on \Dpt{} and on \Dcpt{}.")
