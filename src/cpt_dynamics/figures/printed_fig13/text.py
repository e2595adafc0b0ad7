"""The words about Figure 13 from printed coefficients."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.printed.text import printed_text
from cpt_dynamics.figures.kit.text import Text
from cpt_dynamics.figures.printed_fig13.result import Result


def text(data: FigureData, result: Result) -> Text:
    return printed_text(result, "The turning length against the weight $w_1$, for three strengths of the shift.")
