"""The words about Figure 10."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig10.result import Result
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: Result) -> Text:
    return Text(
        "Losses predicted for CPT under schedules that were not fitted, from the coefficients of Figure~3"
        " alone, beside the measured ones. To see: whether the prediction follows the schedule.",
        "predicted and measured curves that lie on each other, without a number.",
    )
