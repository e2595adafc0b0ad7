"""Figure 13 from printed coefficients: the turning length of the weighted goal against w1."""

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.turning import turning
from cpt_dynamics.figures.printed_fig13.result import Result


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    return turning(result.curves, result.max_steps)
