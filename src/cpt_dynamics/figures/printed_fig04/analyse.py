"""Figure 4 from printed coefficients: CPT as a slide between two loss surfaces of D_pt (arXiv 2505.07796)."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.figures.kit.slide import statements, views
from cpt_dynamics.figures.printed_fig04.result import Result


def analyse(data: FigureData) -> Result:
    """Both surfaces, one run across them, and the two views; nothing of `data` is read."""
    figure = sources.load().figures["fig04"]
    (source,) = figure.coefficients.values()
    general = sources.coefficients(source, Role.GENERAL, figure.settings)
    surface, forward, annealing = (figure.panels[key] for key in ("surface", "forward", "annealing"))
    limit = general.parameters["B"]
    drawn = views(
        general,
        surface.setting(),
        (forward.setting(), [round(step) for step in forward.values]),
        (annealing.setting(), annealing.values),
        limit,
    )
    return Result(**dict(sources.head(Result.FIGURE, figure, statements(drawn, limit))), **dict(drawn))
