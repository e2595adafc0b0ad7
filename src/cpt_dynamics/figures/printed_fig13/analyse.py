"""Figure 13 from printed coefficients: the turning length of the weighted goal against w1 (arXiv 2505.07796)."""

import numpy as np

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.figures.kit.printed.sources import Panel, PrintedFigure
from cpt_dynamics.figures.kit.turning_lengths import Limits, against_weight, statements
from cpt_dynamics.figures.printed_fig13.result import AlternativeLimits, Result

COARSE = np.linspace(0, 1, 51)  # weights of the alternatives
SHORTER = 0.2  # of the longest CPT, for the alternatives


def analyse(data: FigureData) -> Result:
    """Turning lengths for three shift strengths, and what they show; nothing of `data` is read."""
    return turning(sources.load().figures["fig13"])


def turning(figure: PrintedFigure) -> Result:
    """The result of the figure for the given settings."""
    (panel,) = figure.panels.values()
    scenario, longest = panel.setting(), max(panel.steps)
    curves = {
        strength: against_weight(sources.pair(source, figure.settings), scenario, longest)
        for strength, source in figure.coefficients.items()
    }
    return Result(
        **dict(sources.head(Result.FIGURE, figure, statements(curves))),
        max_steps=longest,
        curves=curves,
        alternatives=_alternatives(figure, panel, round(SHORTER * longest)),
    )


def _alternatives(figure: PrintedFigure, panel: Panel, max_steps: int) -> list[AlternativeLimits]:
    """Where turning lengths begin and end under each alternative of the panel."""
    result = []
    for other in panel.alternatives:
        settings, scenario = sources.changed(figure, other.change), panel.setting(other.change)
        limits = {}
        for strength, source in figure.coefficients.items():
            found = against_weight(sources.pair(source, settings), scenario, max_steps, COARSE)
            limits[strength] = Limits(at_once=found.at_once, finite=found.finite, never=found.never)
        result.append(AlternativeLimits(name=other.name, max_steps=max_steps, limits=limits))
    return result
