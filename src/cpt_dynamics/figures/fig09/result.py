"""What Figure 9 finds."""

from typing import ClassVar, Literal

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, JointFit, Parameters, Part


class Errors(Part):
    """Mean absolute errors of Eq. 6 (nats/token)."""

    measured: float | None = Field(description="from the measured losses on D_pt and D_cpt")
    law: float | None = Field(description="from those that Eq. 4 predicts, so from the learning rates alone")


class Losses(Part):
    """Losses of one run on the set (nats/token)."""

    phase_step: list[int] = Field(description="steps of CPT")
    loss: list[float] = Field(description="measured")
    predicted: list[float] = Field(description="Eq. 6 of the measured losses")
    law: list[float] = Field(description="Eq. 6 of the losses that Eq. 4 predicts")


class RunOfSet(Errors):
    measured: float
    law: float
    table: Losses


class Direction(Part):
    """A set, with its weights of Fig. 21 and its held-out runs."""

    validation: str
    weights: Parameters
    intervals: dict[str, tuple[float, float]] | None
    change: float = Field(description="loss at the end of CPT minus that before it, mean over the runs (nats/token)")
    mean_absolute_error: Errors = Field(description="means over the runs")
    runs: dict[str, RunOfSet]


class Directions(Part):
    """The set whose loss rises most during CPT and the one whose loss falls most; None where no set goes that way."""

    rising: Direction | None
    falling: Direction | None


class Result(FigureResult):
    """Eq. 6 with the weights of Fig. 21 on the held-out runs of a rising and of a falling set."""

    FIGURE: ClassVar[str] = "fig09"

    fitted_runs: list[str]
    heldout_runs: list[str]
    shown: dict[Literal["best", "median", "worst"], str] = Field(
        description="runs by their error, of the mean over the sets shown"
    )
    validations: dict[Role, str] = Field(description="validation set of each role")
    lambda_: float
    carry_over: bool
    directions: Directions
    rises: bool = Field(description="whether the loss on some set rises")
    falls: bool = Field(description="whether the loss on some set falls")
    fits: dict[Role, JointFit] = Field(description="Eq. 4 fitted to the runs of the figure")
