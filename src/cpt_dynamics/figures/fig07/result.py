"""What Figure 7 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.lengths import Length
from cpt_dynamics.figures.kit.result import FigureResult, JointFit, Part
from cpt_dynamics.figures.kit.statement import Statement


class FinalLosses(Part):
    """Final losses of a run that has the LR of panels (a) and (b) at some peak (nats/token)."""

    run: str
    peak_lr: float
    loss: dict[Role, float]
    predicted: dict[Role, float] = Field(description="by the law of Fig. 3")


class CriticalPoint(Part):
    """L0 of the annealing law on D_pt of training on the strong domain from scratch (Section 5; nats/token)."""

    point: float
    alone: dict[str, float] = Field(description="L0 of the fit to each of the runs alone")
    range: tuple[float, float] = Field(description="smallest and largest L0 of all these fits")
    lowest_measured: dict[str, float] = Field(description="lowest loss of each run")
    by_law: float = Field(description="L0 + B of Fig. 3, which is the same loss if both laws are right")
    reached: float = Field(
        description="share of B that its shift has at the end of a CPT at the peak LR, of the scale's length (far below"
        " 1: B is an extrapolation)"
    )
    runs: list[str]
    fit: JointFit


class PredictedCurve(Part):
    """Predicted D_pt loss (nats/token) at steps of CPT."""

    step: list[int]
    loss: list[float]


class MeasuredCurve(PredictedCurve):
    """Measured D_pt loss, and its mean over neighbouring evaluations (`window` of them)."""

    smoothed: list[float]


class ByLaw(Part):
    """What the law of Fig. 3 says of a run; losses on D_pt (nats/token)."""

    start: float
    change: float
    turning: int | None = Field(description="as measured, along this run's own schedule")
    turning_length: int | None = Field(
        description="length of a CPT whose schedule is stretched to it, at the end of which the loss is back at its"
        " start (the paper's), looked for in up to ten times the run's length; null where there is none, or where the"
        " LR is not that of a known schedule"
    )
    never: bool | None = Field(description="whether there is none at any length")
    reason: str
    curve: PredictedCurve


class Turned(Part):
    """D_pt loss of a run from its transfer on, and whether it gets back to where it started (nats/token)."""

    domain: str
    strong: bool = Field(description="whether CPT is on the strong domain alone")
    transfer: int = Field(description="steps of pre-training")
    steps: int = Field(description="of CPT")
    start: float = Field(description="loss at the transfer")
    start_step: int = Field(description="where that was measured")
    final: float
    change: float = Field(description="`final` minus `start`")
    change_over_noise: float | None = Field(description="the same over `noise`")
    highest: float
    above_critical: bool | None = Field(description="null for another domain than that of the critical point")
    turned_back: bool
    turning: int | None = Field(
        description="first step of CPT from which on the smoothed loss stays at or below the start, 0 where it never"
        " rises, null where it is not back by the end"
    )
    as_expected: bool | None = Field(description="whether it turns back if and only if it starts above the point")
    law: ByLaw | None = Field(description="null for another domain")
    curve: MeasuredCurve


class Result(FigureResult):
    """Final losses that the law of Fig. 3 gives over the peak LR, and measured CPT around the critical point."""

    FIGURE: ClassVar[str] = "fig07"

    validations: dict[Role, str] = Field(description="validation set of each role")
    law_of: str
    lambda_: float
    carry_over: bool
    lengths: list[Length] = Field(description="(a), (b): PT with WSD to 10 % of the peak, CPT with a cosine to zero")
    measured: list[FinalLosses]
    critical: CriticalPoint
    noise: float | None = Field(description="deviation of a final D_pt loss over seeds (nats/token)")
    window: int
    runs: dict[str, Turned] = Field(description="(c): each other CPT run")
    checks: list[Statement] = Field(description="what the figure shows")
