"""The words about Figure 7 from printed coefficients."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.printed.text import printed_text
from cpt_dynamics.figures.kit.text import Text
from cpt_dynamics.figures.printed_fig07.result import Result


def text(data: FigureData, result: Result) -> Text:
    return printed_text(
        result,
        "Final losses against the peak learning rate of CPT for several lengths; and CPT from before and from beyond"
        " the critical point, with the turning length.",
    )
