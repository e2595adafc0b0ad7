"""What the figure of the trained recommendations finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.recommendations import Choice, KnobBasis
from cpt_dynamics.figures.kit.result import FigureResult, Part


class GridPoint(Part):
    """A run of the trained grid, with its losses at the end of CPT (nats/token)."""

    run: str
    value: float = Field(description="of the knob")
    loss: dict[Role, float]
    predicted: dict[Role, float]


class BestOfGrid(Part):
    run: str
    value: float = Field(description="of the knob")
    goal: float


class Trained(Choice):
    """A recommendation with what its run reached (nats/token)."""

    loss: dict[Role, float] = Field(description="at the end of CPT")
    goal: float
    grid: dict[str, float] = Field(description="goal by run of the grid")
    best_of_grid: BestOfGrid
    regret: float = Field(description="goal minus the best one of the grid: negative where it is better than all")
    regret_over_noise: float | None = Field(
        description="regret over the deviation of the goal over seeds, the noise of both losses taken as independent"
    )
    in_grid: bool = Field(description="whether the value is one of the grid's, so that its run is the grid's run")


class Knob(KnobBasis):
    grid: list[GridPoint]
    recommendations: list[Trained]


class Regret(Part):
    """Regrets over all knobs and weights (nats/token)."""

    mean: float
    worst: float
    better_or_equal: int = Field(description="number of regrets of at most zero")
    n: int
    new: int = Field(description="number of recommendations that are not in the grid")
    mean_new: float | None = Field(description="mean regret of those")
    mean_over_noise: float | None
    worst_over_noise: float | None


class Result(FigureResult):
    """What was recommended for each knob and weight, what the grid and the trained recommendation reached.

    The goal is w1*(D_pt loss) + (1 - w1)*(D_cpt loss) at the end of CPT.
    """

    FIGURE: ClassVar[str] = "recommendations"

    validations: dict[Role, str] = Field(description="validation set of each role")
    lambda_: float
    carry_over: bool
    first_step: int = Field(description="rows of pre-training before it are not fitted")
    measure: str
    weights: list[float] = Field(description="w1, of the D_pt loss")
    noise: dict[Role, float | None] = Field(description="deviation of a final loss over seeds (nats/token)")
    knobs: dict[str, Knob]
    regret: Regret
