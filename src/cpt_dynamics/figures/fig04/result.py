"""What Figure 4 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult
from cpt_dynamics.figures.kit.slide import Views
from cpt_dynamics.figures.kit.statement import Statement
from cpt_dynamics.figures.kit.strengths import LawSummary


class Result(FigureResult, Views):
    """Both surfaces, one run across them, and the two views, by the law of Fig. 3. Losses in nats/token.

    The upper surface is the lower one plus B, the limit of the shift. Where that lies far beyond any shift in reach (B
    is then not determined by the fit), it is the lower one plus the shift at `longer` times the forward area of the
    longest CPT that is drawn.
    """

    FIGURE: ClassVar[str] = "fig04"

    validations: dict[Role, str] = Field(description="validation set of each role")
    lambda_: float
    carry_over: bool
    law: LawSummary
    limit: float = Field(description="B")
    shift_at_the_end: float = Field(description="of the run across the surfaces, at the end of its CPT")
    share_of_limit: float | None = Field(description="the same over B")
    lifted: float = Field(description="how far the upper surface lies above the lower one")
    longer: int
    shifted_is_limit: bool = Field(description="whether that is B")
    checks: list[Statement] = Field(description="what the figure shows")
