"""The words about Figure 4 from printed coefficients."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.printed.text import printed_text
from cpt_dynamics.figures.kit.text import Text
from cpt_dynamics.figures.printed_fig04.result import Result


def text(data: FigureData, result: Result) -> Text:
    return printed_text(
        result,
        "The loss on the general corpus as a path between the surface of pre-training and the shifted one, seen"
        " along the forward area and along the annealing area.",
    )
