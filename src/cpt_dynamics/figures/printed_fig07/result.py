"""What Figure 7 from printed coefficients finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.lengths import Length
from cpt_dynamics.figures.kit.printed.ranges import AlternativeRanges, Compared
from cpt_dynamics.figures.kit.printed.sources import PrintedResult
from cpt_dynamics.figures.kit.result import Part


class TurningRun(Part):
    """CPT from a pre-training of one length; losses on D_pt (nats/token)."""

    pretraining_steps: int
    start: float = Field(description="loss at the end of pre-training")
    above_critical: bool
    turning: int | None = Field(description="turning length; null where the loss is not back")
    infinite: bool = Field(description="whether the law says that it never is")
    reason: str
    steps: list[int] = Field(description="of CPT, [points]")
    loss: list[float]


class TurningRuns(Part):
    """CPT before and after the critical point (D_pt loss, nats/token)."""

    critical_point: float
    runs: list[TurningRun]


class Result(PrintedResult):
    """Final losses over the peak LR, their ranges beside the printed ones, and CPT around the critical point."""

    FIGURE: ClassVar[str] = "printed_fig07"

    lengths: list[Length]
    ranges: dict[Role, Compared]
    alternatives: list[AlternativeRanges]
    turning: TurningRuns
