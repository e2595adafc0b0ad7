"""What the figure of the public curves finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.areas import Warmup
from cpt_dynamics.figures.kit.comparison import Comparison
from cpt_dynamics.figures.kit.result import FigureResult, Parameters, Part


class OfLambda(Part):
    """The annealing law fitted at one lambda."""

    lambda_: float
    objective: float = Field(description="sum of Huber terms over the fitted rows")
    parameters: Parameters


class Printed(Part):
    """What the authors of the Multi-Power Law publish."""

    parameters: Parameters
    metrics: dict[str, float] = Field(description="means over the test runs (see `fitting.measure`)")


class Size(Part):
    """All laws on the curves of one model size."""

    params: int
    warmup: Warmup = Field(
        description="convention of the warm-up under which the annealing law has the smallest training objective; test"
        " errors play no part"
    )
    annealing: str = Field(description="name of the law under that convention")
    lambda_sweep: list[OfLambda] = Field(description="under that convention")
    lambda_best: float
    published: Printed
    printed_error: float = Field(description="mean relative test error that the authors print")
    printed_off: float = Field(description="distance of the error of the authors' parameters from it")
    over_s1_only: float | None = Field(
        description="mean relative error of the annealing law on unseen rows over that without S2"
    )
    comparison: Comparison


class Result(FigureResult):
    """Errors of every law at every size, and how lambda and the warm-up's convention were chosen."""

    FIGURE: ClassVar[str] = "public_curves"

    source: str
    repository: str
    revision: str
    fitted_runs: list[str]
    test_runs: list[str]
    lambda_: float
    warmups: dict[str, Warmup] = Field(description="how each law counts the warm-up")
    sizes: dict[str, Size]
