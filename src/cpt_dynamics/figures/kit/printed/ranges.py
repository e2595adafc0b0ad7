"""How computed losses lie to the ranges that the axes of the paper show."""

from collections.abc import Mapping

import numpy as np

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.lengths import finals, span
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.figures.kit.printed.sources import Panel, PrintedFigure, Range
from cpt_dynamics.figures.kit.result import Part

COARSE = 4  # values of the knob that alternatives are computed at


class Compared(Part):
    """A printed and a computed range (nats/token). inside: share of the computed one that lies within the printed one,
    covers: share of the printed one that the computed one covers."""

    printed: Range
    computed: Range
    inside: float
    covers: float


class AlternativeRanges(Part):
    """The ranges under another plain choice where the paper states none."""

    name: str
    ranges: dict[Role, Compared]


def compare(printed: Range, computed: Range) -> Compared:
    """Both ranges, and their overlap as shares of either."""
    common = min(printed[1], computed[1]) - max(printed[0], computed[0])
    inside = max(common, 0.0) / (computed[1] - computed[0]) if computed[1] > computed[0] else float(common >= 0)
    covers = max(common, 0.0) / (printed[1] - printed[0])
    return Compared(printed=printed, computed=computed, inside=inside, covers=covers)


def alternatives(
    figure: PrintedFigure, panel: Panel, knob: str, printed: Mapping[Role, Range]
) -> list[AlternativeRanges]:
    """The ranges under each alternative of a panel, set against the printed ones.

    Computed at the shortest and the longest CPT and at a few values of the knob.
    """
    (source,) = figure.coefficients.values()
    values = [panel.values[round(i)] for i in np.linspace(0, len(panel.values) - 1, COARSE)]
    result = []
    for other in panel.alternatives:
        pair = sources.pair(source, sources.changed(figure, other.change))
        found = finals(pair, panel.setting(other.change), knob, [panel.steps[0], panel.steps[-1]], values)
        ranges = {role: compare(limits, span(found, role)) for role, limits in printed.items()}
        result.append(AlternativeRanges(name=other.name, ranges=ranges))
    return result
