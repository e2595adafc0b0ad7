"""What Figure 12 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FittedResult, JointFit, TestedSlope


class FitAtRatio(JointFit):
    """Eq. 4 fitted to the CPT runs of one replay ratio and to all runs of pre-training alone."""

    shift: float = Field(description="the fitted shift term at the forward area `end` (nats/token)")


class Result(FittedResult):
    """One fit of Eq. 4 for each replay ratio, the share of D_pt in CPT; keys are that share in percent."""

    FIGURE: ClassVar[str] = "fig12"

    runs: list[str]
    ratios: dict[str, float] = Field(description="the replay ratio of each key, ascending")
    groups: dict[str, list[str]] = Field(description="the CPT runs at each ratio")
    end: float = Field(description="the largest forward area of CPT that all ratios reach")
    fits: dict[str, dict[Role, FitAtRatio]]
    trend: dict[Role, TestedSlope] = Field(
        description="slope of the size of the shift over the ratio (nats/token from no replay to replay alone), one"
        " point a ratio"
    )
    least_r2: dict[Role, float | None] = Field(
        description="smallest R2 among the ratios; null where one of them has none"
    )
    shift_falls: dict[Role, bool] = Field(
        description="whether the size of the shift shrinks from each ratio to the next"
    )
