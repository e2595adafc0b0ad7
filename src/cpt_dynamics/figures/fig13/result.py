"""What Figure 13 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult
from cpt_dynamics.figures.kit.statement import Statement
from cpt_dynamics.figures.kit.strengths import StrengthSummary
from cpt_dynamics.figures.kit.turning_lengths import TurningCurve


class FittedCurve(TurningCurve):
    critical_point_determined: bool = Field(description="whether the runs determine it (`limit_determined`)")


class Result(FigureResult):
    """Turning lengths of up to `max_steps` for three strengths of the shift, which are the keys."""

    FIGURE: ClassVar[str] = "fig13"

    validations: dict[Role, str] = Field(description="validation set of each role")
    pretraining_steps: int
    max_steps: int
    laws: dict[str, StrengthSummary]
    curves: dict[str, FittedCurve]
    infinite: dict[str, str] = Field(description="from which w1 on there is no turning length, in words")
    checks: list[Statement] = Field(description="what the figure shows")
