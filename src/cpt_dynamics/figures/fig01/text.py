"""The words about Figure 1."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig01.result import Result
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: Result) -> Text:
    return Text(
        r"Losses of a pre-training that stays on \Dpt{}, of the same run continued on \Dcpt{}, and of"
        r" training on \Dcpt{} from scratch under the same learning rates. To see: whether the CPT curve"
        " leaves the first and moves towards the last after the transfer, on both validation sets.",
        "such curves, without numbers, with the CPT loss between the two hidden curves.",
    )
