"""The words about Figure 5 from printed coefficients."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.printed.text import printed_text
from cpt_dynamics.figures.kit.text import Text
from cpt_dynamics.figures.printed_fig05.result import Result


def text(data: FigureData, result: Result) -> Text:
    return printed_text(
        result,
        "The final loss on the domain corpus against the loss potential of the checkpoint, for several lengths of CPT;"
        " a star marks the best potential.",
    )
