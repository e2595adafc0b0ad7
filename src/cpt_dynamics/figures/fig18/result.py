"""What Figure 18 finds."""

from typing import ClassVar, Literal

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.comparison import RowNumbers
from cpt_dynamics.figures.kit.result import Errors, FigureResult, JointFit, Parameters, Part, StoredFit


class WithoutAnnealing(Part):
    """The law without S2, fitted to the same rows."""

    heldout: Errors
    parameters: Parameters
    fit: StoredFit


class LastValue(Part):
    """The last loss of the longest fitted run as the prediction (nats/token)."""

    loss: float
    heldout: Errors


class Form(Part):
    """A form of the law that was tried."""

    parameters: Parameters
    huber_sum: float
    heldout: Errors


class UnknownFit(JointFit):
    """The law with S1pt as a parameter, fitted to the CPT losses of the short runs on one set."""

    form: Literal["bounded", "growing"] = Field(description="the one of `forms` with the lowest Huber sum")
    combinations: Parameters
    fitted: Errors = Field(description="on the fitted rows")
    heldout: Errors = Field(description="on rows of the held-out runs that no fitted run shares")
    heldout_all: Errors = Field(description="on all CPT rows of the held-out runs")
    s1_only: WithoutAnnealing
    last_value: LastValue
    over_s1_only: float | None = Field(description="mean relative error over that of the law without S2")
    over_last_value: float | None = Field(description="the same over that of the last fitted loss")
    forms: dict[Literal["bounded", "growing"], Form]
    heldout_rows: RowNumbers
    first_step_fitted: int = Field(description="step of CPT")


class PrintedFit(Part):
    """A printed fit of an open-source model."""

    setting: str
    role: Role
    validation: str
    parameters: dict[str, float | None]


class Result(FigureResult):
    """A model whose pre-training counts as unknown: short CPT is fitted, longer CPT is predicted.

    Sets: `proxy` (the first out-of-domain corpus, or the one of weak shift, in place of D_pt), `strong` (D_cpt), and
    `general`, the true D_pt, where the runs begin with pre-training, which users of such a model do not have.
    """

    FIGURE: ClassVar[str] = "fig18"

    fitted_runs: list[str]
    heldout_runs: list[str]
    validations: dict[Role, str] = Field(description="validation set of each role")
    lambda_: float
    carry_over: bool
    n_starts: int = Field(description="starts of the search")
    true_s1pt: dict[str, float] = Field(description="forward area of pre-training by run, which no fit sees")
    published: list[PrintedFit]
    sets: dict[Role, UnknownFit]
