"""What Figure 2 finds."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, Part, TestedMean, TestedSlope
from cpt_dynamics.figures.kit.shifts import MeasuredForm, MeasuredShifts, Spread

FormName = Annotated[str, StringConstraints(pattern="^(power|exponential|log)$")]


class Forms(Part):
    """Form of the shift (`power`, `exponential`, `log`) -> its fit to those of all fitted runs together.

    Under a constant LR the two arguments differ in the unit of E only.
    """

    phase_step: dict[FormName, MeasuredForm] = Field(description="over the steps of CPT")
    s1cpt: dict[FormName, MeasuredForm] = Field(description="over the forward area of CPT")


class Predicted(Part):
    """How well the power form over the CPT step predicts runs that it was not fitted to (nats/token)."""

    rows: int
    mean_absolute_error: float
    size: float = Field(description="mean absolute measured shift of these rows")
    relative_error: float | None = Field(description="mean absolute error over `size`")
    shifts: MeasuredShifts


class Trend(TestedSlope):
    """The mean shift of a run, over the mean of all, against its transfer step over all steps."""

    means: dict[str, float] = Field(description="mean shift of each run at the common steps (nats/token)")
    places: dict[str, float] = Field(description="transfer step of each run over all steps")


class FormErrors(Part):
    """Mean squared errors of both forms, fitted to the other runs, on a run (nats^2)."""

    power: float
    exponential: float


class Gain(TestedMean):
    """The mean squared error of the power form minus that of the exponential, one a run that was left out."""

    mean_squared_errors: dict[str, FormErrors]


class Set(Part):
    """The shifts on one validation set. `transfer` and `power_gain` are tests over held-out runs, too."""

    validation: str
    rows: int
    interpolated: int = Field(description="of them with an interpolated hidden curve")
    spread: Spread = Field(description="between the transfer points")
    forms: Forms
    r2_gain: float | None = Field(description="R2 of the power form over the CPT step minus that of the exponential")
    shifts: MeasuredShifts = Field(description="of the fitted runs")
    heldout: Predicted | None = Field(description="None without held-out runs")
    transfer: Trend
    power_gain: Gain


class Result(FigureResult):
    """Shifts of all transfers, and one fit of each form to all of them together."""

    FIGURE: ClassVar[str] = "fig02"

    runs: list[str] = Field(description="fitted runs")
    heldout_runs: list[str]
    transfers: dict[str, int] = Field(description="steps of pre-training of each run")
    hidden: dict[str, str] = Field(description="hidden curve of each run")
    total_steps: int
    validations: dict[Role, str] = Field(description="validation set of each role")
    sets: dict[Role, Set]
