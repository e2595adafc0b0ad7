"""What the scan of lambda, the memory of the annealing area, finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, Part


class ErrorsOfSet(Part):
    """Mean relative errors on CPT rows of one validation set."""

    objective: float = Field(description="of the fit to all fitted runs")
    fit: float | None = Field(description="of that fit on them")
    left_out: float | None = Field(
        description="of each fitted run with CPT, predicted from the others; the mean over runs. The seeds of a run"
        " are left out together, and its pre-training too unless another run shares it"
    )
    left_out_runs: dict[str, float | None]
    heldout: float | None = Field(description="of the held-out runs; null without any")


class Point(Part):
    """One lambda."""

    lambda_: float
    memory: float = Field(description="1 / (1 - lambda), in steps")
    left_out: float | None = Field(description="mean over both validation sets")
    sets: dict[Role, ErrorsOfSet]


class Result(FigureResult):
    """Errors of Eq. 4 over a grid of lambda that holds the configured one and the paper's."""

    FIGURE: ClassVar[str] = "lambda"

    fitted_runs: list[str]
    heldout_runs: list[str]
    left_out_together: list[str]
    validations: dict[Role, str]
    carry_over: bool
    first_step: int = Field(description="rows of pre-training before it are not fitted")
    chosen: float = Field(description="lambda of the configuration")
    paper: float
    best: float = Field(description="the lambda of the lowest `left_out`, so without a look at held-out runs")
    best_by_set: dict[Role, float]
    points: list[Point] = Field(description="ascending")
    chosen_over_best: float | None = Field(description="`left_out` of the configured lambda over that of the best")
    chosen_over_paper: float | None = Field(description="and over that of the paper's")
    best_share: float = Field(description="memory of the best lambda over the steps of PT and CPT")
