"""What Figures 5c and 5f from printed coefficients find."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.lengths import Length
from cpt_dynamics.figures.kit.printed.ranges import AlternativeRanges, Compared
from cpt_dynamics.figures.kit.printed.sources import PrintedResult
from cpt_dynamics.figures.kit.result import Part


class PotentialPanel(Part):
    """Final losses against the loss potential."""

    title: str
    shows: str
    role: Role
    lengths: list[Length]
    range: Compared
    alternatives: list[AlternativeRanges]


class Result(PrintedResult):
    """Final losses by panel, their range beside the printed one, and the ranges under other assumptions."""

    FIGURE: ClassVar[str] = "printed_fig05"

    panels: dict[str, PotentialPanel] = Field(description="by letter")
