"""The types of a comparison of laws (`fitting.comparison.compare`)."""

from pydantic import Field

from cpt_dynamics.figures.kit.result import Errors, Parameters, Part, StoredFit


class RowNumbers(Part):
    """Rows of one or more test runs."""

    all: int
    unseen: int = Field(description="of them without those that a fitted run shares")


class Measured(Errors):
    huber_sum: float | None = None


class RunErrors(Part):
    """Errors of a law on one test run."""

    all: Measured
    unseen: Measured


class Means(Part):
    """Unweighted means over the test runs."""

    r2: float | None = None
    mae: float | None = None
    rmse: float | None = None
    mean_relative_error: float | None = None
    worst_relative_error: float | None = None


class MeanErrors(Part):
    all: Means
    unseen: Means


class ComparedLaw(Part):
    """A law that is fitted to some runs, or whose parameters are given, and its errors on others."""

    law: str
    source: str
    fitted: bool
    parameters: Parameters
    objective: float = Field(description="sum of Huber terms over the fitted rows")
    train: Measured
    seconds: float = Field(description="CPU time of the fit")
    converged: bool | None = None
    optimality: float | None = None
    n_starts: int | None = Field(None, description="starts of the search")
    n_agree: int | None = Field(None, description="of them those that reached the best objective")
    fit: StoredFit | None = None
    runs: dict[str, RunErrors]
    mean: MeanErrors


class Comparison(Part):
    """What `fitting.comparison.compare` gives."""

    fitted_runs: list[str]
    test_runs: list[str]
    phase: str | None
    rows: dict[str, RowNumbers] = Field(description="by test run")
    laws: dict[str, ComparedLaw]
