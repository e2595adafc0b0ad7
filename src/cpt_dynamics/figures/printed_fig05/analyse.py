"""Figures 5c and 5f from printed coefficients: the final D_cpt loss against the loss potential (arXiv 2505.07796)."""

from collections.abc import Sequence

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.lengths import Length, best_at, falls, finals, lower_when_longer, span
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.figures.kit.printed.ranges import alternatives, compare
from cpt_dynamics.figures.kit.printed.sources import Panel, PrintedFigure
from cpt_dynamics.figures.kit.statement import Statement, statement
from cpt_dynamics.figures.printed_fig05.result import PotentialPanel, Result


def analyse(data: FigureData) -> Result:
    """Final losses against the loss potential; nothing of `data` is read."""
    figure = sources.load().figures["fig05"]
    panels = {key: _panel(figure, panel) for key, panel in figure.panels.items()}
    checks = [check for key, panel in panels.items() for check in _statements(key, panel.role, panel.lengths)]
    return Result(**dict(sources.head(Result.FIGURE, figure, checks)), panels=panels)


def _panel(figure: PrintedFigure, panel: Panel) -> PotentialPanel:
    (source,) = figure.coefficients.values()
    pair, role, printed = sources.pair(source, figure.settings), Role(panel.role), panel.printed_range
    found = finals(pair, panel.setting(), "potential", panel.steps, panel.values)
    return PotentialPanel(
        title=panel.title,
        shows=panel.shows,
        role=role,
        lengths=found,
        range=compare(printed, span(found, role)),
        alternatives=alternatives(figure, panel, "potential", {role: printed}),
    )


def _statements(key: str, role: Role, found: Sequence[Length]) -> list[Statement]:
    """What the paper's panel shows, as statements about the computed curves."""
    highest = max(found[0].values)
    return [
        statement(f"({key}) the highest potential ends lowest at every length of CPT", best_at(found, role, highest)),
        statement(f"({key}) the final loss falls with the potential at every length", falls(found, role)),
        statement(f"({key}) a longer CPT ends lower at every potential", lower_when_longer(found, role)),
    ]
