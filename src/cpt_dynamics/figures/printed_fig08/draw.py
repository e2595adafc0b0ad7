"""Figure 8 from printed coefficients: the best loss potential, peak LR and replay ratio against w1."""

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.optima import optima
from cpt_dynamics.figures.printed_fig08.result import Result


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    return optima([result.panels.a, result.panels.b], result.panels.c)
