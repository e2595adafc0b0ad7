"""The words about Figure 8 from printed coefficients."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.printed.text import printed_text
from cpt_dynamics.figures.kit.text import Text
from cpt_dynamics.figures.printed_fig08.result import Result


def text(data: FigureData, result: Result) -> Text:
    return printed_text(
        result,
        "The best loss potential, peak learning rate and replay ratio against the weight $w_1$ of the loss on the"
        " general corpus.",
    )
