"""What Figure 10 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import Errors, FittedResult, Part, StoredFit


class Compared(Part):
    """Errors on the CPT rows of some held-out runs; their pre-training rows are not counted."""

    law: Errors
    s1_only: Errors = Field(description="of the law without annealing areas")
    ratio: float | None = Field(
        description="mean relative error of the law over that of `s1_only` (below 1: annealing helps to predict)"
    )


class Predictions(Part):
    """The predictions on one validation set."""

    validation: str
    runs: dict[str, Compared] = Field(description="for each held-out run")
    pooled: Compared = Field(description="of all held-out runs together")
    fit: StoredFit = Field(description="Eq. 4, fitted for Figure 3")
    s1_only_fit: StoredFit = Field(
        description="the law without annealing areas and with the same shift term, fitted to the same rows"
    )


class Result(FittedResult):
    """Errors of the coefficients of Figure 3 on runs under LR schedules that were not fitted."""

    FIGURE: ClassVar[str] = "fig10"

    fitted_runs: list[str]
    heldout_runs: list[str]
    predictions: dict[Role, Predictions]
