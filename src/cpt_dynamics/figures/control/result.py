"""What the same-data control finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import Errors, FittedResult, JointFit, Parameters, Part, StoredFit
from cpt_dynamics.figures.kit.shifts import Shifts, Spread


class ControlErrors(Errors):
    """Errors of Eq. 2 on the CPT rows of the controls."""

    huber_sum: float | None = None


class Refitted(Part):
    """Eq. 2 with the rows of the controls in the fit, so that nothing is extrapolated."""

    parameters: Parameters
    r2: float | None
    r2_continual: float | None
    residual: float | None = Field(description="nats/token")
    residual_share: float | None
    fit: StoredFit


class Overlap(Part):
    """How far the shifts of the LR schedules lie apart."""

    s1cpt: Spread = Field(description="at the same forward area")
    phase_step: Spread = Field(description="at the same step")


class Set(JointFit):
    """Eq. 2 fitted to the runs without CPT on one validation set, and the controls beside it (nats/token).

    Residuals are on CPT rows of the controls that are not among the fitted measurements (under a constant LR a control
    is the hidden curve). A shift is the loss of a CPT run minus that of its control at the same steps.
    """

    residual: float | None = Field(description="mean of `residuals`")
    residuals: dict[str, float] = Field(description="mean absolute error of Eq. 2 on each control")
    shift_size: float | None = Field(description="mean size of the shift of the pairs whose control has a residual")
    shift_sizes: dict[str, float] = Field(description="mean absolute shift of each CPT run")
    residual_share: float | None = Field(description="`residual` over `shift_size`")
    refitted: Refitted
    control_errors: ControlErrors
    overlap: Overlap | None = Field(description="None for fewer than two pairs")
    shifts: Shifts


class Result(FittedResult):
    """Eq. 2 from pre-training alone against CPT on the same data, and the shift against those controls."""

    FIGURE: ClassVar[str] = "control"

    pretraining_runs: list[str] = Field(description="the fitted runs")
    controls: list[str] = Field(description="runs whose CPT is on D_pt alone")
    pairs: dict[str, str] = Field(
        description="run whose CPT is on D_cpt alone -> the control with its LR at every step"
    )
    sets: dict[Role, Set]
