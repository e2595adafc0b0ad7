"""What Figure 15 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import Errors, JointFit, Parameters, Part, SizesResult


class ErrorsAtSize(Errors):
    """Errors on the CPT rows of one size."""

    huber_sum: float | None = None


class AtSize(Part):
    """Eq. 7 at one size."""

    params: int = Field(description="non-embedding parameters")
    parameters: Parameters = Field(description="the coefficients of Eq. 4 that it amounts to")
    errors: ErrorsAtSize


class FitOfSet(JointFit):
    """Eq. 7 fitted to all runs; coefficients are for N in millions of parameters."""

    at_size: dict[str, AtSize] = Field(description="by model")


class LeftOut(Part):
    """Mean relative errors on the CPT rows of a size that was not fitted.

    N takes few values, and L0, F and g3 together set one level for each. Three sizes fit these levels exactly and two
    leave them open, so only the levelled error tests the rest of the law.
    """

    prediction: float = Field(description="of the law as predicted")
    levelled: float = Field(description="with the level taken from the pre-training rows of that size")
    level: float = Field(description="that level over the predicted one (nats/token)")


class Result(SizesResult):
    """One fit of Eq. 7 to all runs on each validation set."""

    FIGURE: ClassVar[str] = "fig15"

    fits: dict[Role, FitOfSet]
    left_out: dict[Role, dict[str, LeftOut]] = Field(description="by model; empty for two sizes")
