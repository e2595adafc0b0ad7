"""Figure 4: CPT as a slide between two loss surfaces of D_pt."""

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig04.result import Result
from cpt_dynamics.figures.kit.loss_surface import loss_surface


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    return loss_surface(result, result.validations[Role.GENERAL], result.shifted_is_limit)
