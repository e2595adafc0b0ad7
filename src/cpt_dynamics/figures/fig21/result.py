"""What Figure 21 finds."""

from typing import ClassVar, Literal

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, Parameters, Part

Single = Literal["general", "domain"]  # one of the two losses that are combined


class MeanErrors(Part):
    """Absolute errors on the losses of the held-out runs (nats/token)."""

    mean_absolute_error: float | None = Field(description="over the rows of each run first, then over the runs")
    worst_absolute_error: float | None
    r2: float | None = Field(description="over all rows")


class RunErrors(Part):
    """Absolute errors of one run (nats/token)."""

    mean: float
    worst: float
    steps: list[int] = Field(description="steps of CPT")
    absolute_errors: list[float] = Field(description="by step")


class HeldoutErrors(MeanErrors):
    runs: dict[str, RunErrors]


class SingleLoss(MeanErrors):
    """The model w*L with one of the two losses, fitted to the same rows."""

    weight: float


class Combination(Part):
    """A linear combination of the losses on D_pt (`general`) and D_cpt (`domain`), with its errors (nats/token)."""

    weights: Parameters
    parameters: Parameters = Field(description="the weights")
    intervals: dict[str, tuple[float, float]] | None = Field(description="of each weight, at `level`")
    interval_reason: str = Field(description="what the intervals are, or why there are none")
    level: float
    r2: float = Field(description="on the fitted rows")
    r2_continual: float = Field(description="the same: all rows are of CPT")
    mean_absolute_error: float = Field(description="on the fitted rows")
    worst_absolute_error: float
    left_out_mean_absolute_error: float | None = Field(description="each fitted run predicted by a fit to the others")
    n_runs: int


class WithIntercept(Combination):
    """Eq. 6 with a constant, which the paper does not have."""

    heldout: MeanErrors
    gain: float | None = Field(description="error over that of Eq. 6 as it is")


class Rows(Part):
    fitted: int
    heldout: int


class Change(Part):
    """Loss at the end of CPT minus that before it (nats/token)."""

    mean: float = Field(description="over all runs with CPT")
    rises: bool
    runs: dict[str, float]


class OutOfDomain(Combination):
    """Eq. 6 on one set."""

    heldout: HeldoutErrors
    single: dict[Single, SingleLoss]
    better_single: Single = Field(description="which of the two losses alone has the smaller error")
    gain: float | None = Field(description="error of Eq. 6 over that of the better single loss")
    intercept: WithIntercept
    rows: Rows
    change: Change


class Result(FigureResult):
    """Eq. 6 on every out-of-domain set: weights from the CPT losses of some runs, errors on those of others."""

    FIGURE: ClassVar[str] = "fig21"

    fitted_runs: list[str]
    heldout_runs: list[str]
    validations: dict[Role, str] = Field(description="validation set of each role")
    sets: dict[str, OutOfDomain] = Field(
        description="the out-of-domain corpora, and the corpus of weak shift unless a run of the figure trains on it"
    )
