"""What Figure 14 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, Part, TestedSlope
from cpt_dynamics.figures.kit.shifts import MeasuredShifts, ShiftForm, Spread


class OfRun(Part):
    """The part of one size."""

    mean: float = Field(description="mean shift over the steps at which all sizes were evaluated (nats/token)")
    relative: float | None = Field(description="over the mean of all sizes")
    r2: float | None = Field(description="of the form of all sizes")


class Set(Part):
    """The shifts on one validation set."""

    rows: int
    spread: Spread = Field(description="between the sizes")
    size: TestedSlope = Field(
        description="of a run's mean shift over that of all against the logarithm of its size (0 smallest, 1 largest)"
    )
    form: ShiftForm = Field(description="Eq. 3 over the forward area, fitted to all sizes")
    runs: dict[str, OfRun]
    shifts: MeasuredShifts


class Result(FigureResult):
    """The shift of each size (CPT minus the hidden curve of that size) and one power form for all of them."""

    FIGURE: ClassVar[str] = "fig14"

    runs: list[str]
    models: dict[str, str] = Field(description="model of each run")
    params: dict[str, int] = Field(description="non-embedding parameters of each run's model")
    hidden: dict[str, str] = Field(description="hidden curve of each run")
    validations: dict[Role, str] = Field(description="validation set of each role")
    sets: dict[Role, Set]
