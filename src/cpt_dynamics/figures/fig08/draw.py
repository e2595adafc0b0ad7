"""Figure 8: the best loss potential, peak LR and replay ratio against w1."""

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig08.result import Result
from cpt_dynamics.figures.kit.optima import optima


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    return optima([result.panels.a, result.panels.b], result.panels.c, result.panels.a.final)
