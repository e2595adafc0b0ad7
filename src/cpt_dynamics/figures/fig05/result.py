"""What Figure 5 finds."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.lengths import Length
from cpt_dynamics.figures.kit.result import FigureResult, Part, TestedMean

PanelName = Annotated[str, StringConstraints(pattern="^(without|with)$")]


class FinalLoss(Part):
    """The last loss of a run on D_cpt, and what the law says of it (nats/token)."""

    run: str
    group: str = Field(description="the run without its seed")
    seed: int
    potential: float = Field(description="loss potential of the checkpoint: last LR of PT over the peak of PT")
    step: int = Field(description="of CPT")
    loss: float
    predicted: float
    error: float = Field(description="`predicted` minus `loss`")


class Trend(TestedMean):
    """The slope of the final loss over the potential (nats from 0 to 1), and the test that its mean is below zero."""

    slopes: dict[int, float] = Field(description="by seed")


class PredictionErrors(Part):
    """Prediction minus measurement of the final losses (nats/token)."""

    n: int
    bias: float = Field(description="mean")
    mean: float = Field(description="mean size")
    worst: float = Field(description="largest size")
    mean_relative: float = Field(description="mean size over the loss")


class Best(Part):
    """The potential of the lowest final loss (mean over seeds) among the trained ones."""

    measured: float
    predicted: float
    agree: bool
    seeds_agreeing: float | None = Field(
        description="share of the seeds whose lowest final loss is at the predicted potential"
    )


class PotentialPanel(Part):
    """The runs without or with re-warm-up."""

    title: str
    role: Role
    runs: list[FinalLoss]
    steps: int = Field(description="of CPT of the runs")
    potentials: list[float] = Field(description="of the runs, ascending")
    measured: list[float] = Field(description="final loss at each of `potentials`, mean over seeds (nats/token)")
    predicted: list[float]
    trend: Trend
    order: float = Field(description="share of neighbouring potentials of which the higher ends lower")
    predicted_order: float
    errors: PredictionErrors
    best: Best
    lengths: list[Length] = Field(description="what the law says of CPT of several lengths")
    falls_at_every_length: bool = Field(description="whether that falls with the potential")
    lower_when_longer: bool


class Result(FigureResult):
    """Measured final losses against the loss potential, and those by the law of Fig. 3, which is fitted to none of the
    runs."""

    FIGURE: ClassVar[str] = "fig05"

    validations: dict[Role, str] = Field(description="validation set of each role")
    law_of: str
    lambda_: float
    carry_over: bool
    panels: dict[PanelName, PotentialPanel] = Field(description="`without` and `with` re-warm-up")
