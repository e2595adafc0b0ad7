"""What Figure 22 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.fig21.result import Single
from cpt_dynamics.figures.kit.result import FigureResult, Part


class SetErrors(Part):
    """Absolute errors of Eq. 6 on one set, held-out runs (nats/token)."""

    mean_absolute_error: float | None = Field(description="over the runs")
    worst_absolute_error: float | None
    single_mean_absolute_error: float | None = Field(description="of the better of the two losses alone")
    better_single: Single
    gain: float | None = Field(description="error over that of the better of the two losses alone")
    intercept_mean_absolute_error: float | None = Field(description="of Eq. 6 with a constant")
    quantiles: list[float] | None = Field(description="over all rows, at `quantile_levels`")
    absolute_errors: list[float]


class Result(FigureResult):
    """Errors of the linear combinations of Fig. 21 on the held-out runs."""

    FIGURE: ClassVar[str] = "fig22"

    validations: dict[Role, str] = Field(description="validation set of each role")
    heldout_runs: list[str]
    limit: float = Field(description="mean absolute error up to which a set counts as predicted (nats/token)")
    printed_limit: float = Field(description="the paper's errors stay below it (nats/token)")
    share_within: float | None = Field(description="share of the sets with a mean absolute error of at most `limit`")
    gain: float | None = Field(description="median over the sets of their gains")
    largest: float | None = Field(description="largest single error of all sets (nats/token)")
    quantile_levels: list[float]
    sets: dict[str, SetErrors]
