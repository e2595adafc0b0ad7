"""What Figure 13 from printed coefficients finds."""

from typing import ClassVar

from cpt_dynamics.figures.kit.printed.sources import PrintedResult
from cpt_dynamics.figures.kit.result import Part
from cpt_dynamics.figures.kit.turning_lengths import Limits, TurningCurve


class AlternativeLimits(Part):
    """Where turning lengths of up to `max_steps` begin and end under another plain choice, by strength."""

    name: str
    max_steps: int
    limits: dict[str, Limits]


class Result(PrintedResult):
    """Turning lengths of up to `max_steps` for three strengths of the shift."""

    FIGURE: ClassVar[str] = "printed_fig13"

    max_steps: int
    curves: dict[str, TurningCurve]
    alternatives: list[AlternativeLimits]
