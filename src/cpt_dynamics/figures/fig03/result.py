"""What Figure 3 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, JointFit, Part


class SkilledFit(JointFit):
    """Eq. 4 fitted to all runs of the figure."""

    skill: float | None = Field(
        description="1 minus the error on CPT rows over that of the law without annealing areas (`fitting.fit_skill`)"
    )


class FitsOfSet(Part):
    """The fits on one validation set."""

    chosen: SkilledFit = Field(description="with the choices of the configuration")
    paper_lambda: SkilledFit = Field(description="with the paper's lambda")
    other_carry_over: SkilledFit = Field(description="with the other handling of the momentum at the transfer")
    free_sign_B: float = Field(description="the coefficient B where its sign is left free (nats/token)")
    better_carry_over: bool = Field(description="which handling of the momentum has the lower Huber sum")


class Result(FigureResult):
    """One fit of Eq. 4 to all runs of the figure on each validation set, and what it rests on."""

    FIGURE: ClassVar[str] = "fig03"

    runs: list[str] = Field(description="the fitted runs; held-out ones have no part in it")
    validations: dict[Role, str] = Field(description="validation set of each role")
    lambda_: float
    paper_lambda: float
    carry_over: bool
    first_step: int = Field(description="rows of pre-training before it are not fitted")
    rows_used: str
    fits: dict[Role, FitsOfSet]
