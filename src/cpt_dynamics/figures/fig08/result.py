"""What Figure 8 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, Part
from cpt_dynamics.figures.kit.statement import Statement
from cpt_dynamics.figures.kit.strengths import PairSummary, StrengthSummary
from cpt_dynamics.figures.kit.weights import KnobPanel, Optima, ReplayPanel


class KnobOptima(KnobPanel):
    final: dict[str, Optima] = Field(description="the curves by the losses at the end of CPT, not by their changes")


class ReplayOptima(ReplayPanel):
    final: dict[str, dict[str, Optima]] = Field(
        description="the curves by the losses at the end of CPT, not by their changes"
    )


class Panels(Part):
    """(a) loss potential, (b) peak LR, (c) replay ratio, by Eq. 5 as printed: losses are changes over CPT."""

    a: KnobOptima
    b: KnobOptima
    c: ReplayOptima


class Inside(Part):
    """The weights of a curve whose best value lies inside the scanned range."""

    weights: int = Field(description="how many")
    of: int
    lowest: float | None
    highest: float | None


class InsideByCurve(Part):
    """For each knob and curve, the weights with a best value inside; keys are strengths, or a form and a length."""

    knobs: int = Field(description="how many of the three knobs have any")
    potential: dict[str, Inside]
    peak_lr: dict[str, Inside]
    replay: dict[str, Inside]


class Interior(Part):
    """Where a best value lies inside the scanned range, by changes of the losses and by those at the end of CPT."""

    knobs: int = Field(description="that of `change`, Eq. 5 as printed")
    change: InsideByCurve
    final: InsideByCurve


class Result(FigureResult):
    """The best value of each knob at every w1."""

    FIGURE: ClassVar[str] = "fig08"

    validations: dict[Role, str] = Field(description="validation set of each role")
    pretraining_steps: int
    continual_steps: int
    laws: dict[str, StrengthSummary | PairSummary] = Field(description="by strength, and `replay, <form>` of Eq. 8")
    panels: Panels
    interior: Interior
    checks: list[Statement] = Field(description="what the figure shows")
