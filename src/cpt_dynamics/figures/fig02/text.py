"""The words about Figure 2."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig02.result import Result
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: Result) -> Text:
    return Text(
        "The distribution shift (CPT loss minus hidden pre-training loss) at constant learning rate for"
        " several transfer points, with the forms fitted to all of them but one (open diamonds), which they predict."
        " To see: whether the curves lie on each other, and which form follows them.",
        "overlapping curves that the power form fits better than the exponential.",
    )
