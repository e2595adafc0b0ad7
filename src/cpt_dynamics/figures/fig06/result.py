"""What Figure 6 finds."""

from typing import ClassVar, Literal

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, Part
from cpt_dynamics.figures.kit.shifts import Columns, MeasuredForm

Side = Literal["general", "own"]  # the D_pt loss, and that of the domain that CPT is on


class RunShifts(Columns):
    """The shift of one run at its CPT rows."""

    phase_step: list[int] = Field(description="steps of CPT")
    s1cpt: list[float] = Field(description="forward area of CPT (LR times steps)")
    shift: list[float] = Field(description="nats/token")
    fitted: list[float | None] = Field(description="by the power form")


class PowerForm(MeasuredForm):
    """Eq. 3 over the forward area, fitted to the shift of one run."""

    r2_continual: float | None
    warnings: list[str]


class Shift(Part):
    """The shift of one run on one validation set (nats/token)."""

    run: str
    role: Role = Field(description="of the validation set")
    rows: int
    interpolated: int = Field(description="of them with an interpolated hidden curve")
    size: float = Field(description="mean over the last steps of CPT (`late`), with its sign")
    final: float = Field(description="at the last step")
    mean_size: float = Field(description="mean of the absolute shift over all rows")
    power: PowerForm | None = Field(description="None where the shift is zero throughout")
    shifts: RunShifts


class Domains(Part):
    """CPT on one domain alone beside CPT on the other."""

    runs: dict[Role, str]
    sets: dict[Side, dict[Role, Shift]]
    weak_over_strong: dict[Side, float | None] = Field(description="ratio of the sizes")


class ReplayedShift(Shift):
    """The shift of one run whose CPT may be mixed with D_pt."""

    replay: float = Field(description="share of D_pt in CPT")


class ReplaysOfSet(Part):
    """The shifts on one validation set, by replay ratio (ascending)."""

    runs: dict[str, ReplayedShift]
    sizes: dict[float, float]
    relative: dict[float, float | None] = Field(description="shift in the paper's direction over that without replay")
    order: float = Field(description="share of neighbouring ratios of which the one with less replay shifts more")
    monotone: bool = Field(description="whether all do: more of the domain, a larger shift")
    same_data: float | None = Field(
        description="mean absolute shift of CPT on D_pt alone over that without replay; None where one is missing"
    )


class Replay(Part):
    """CPT on the strong domain with several shares of D_pt."""

    runs: dict[str, float] = Field(description="share of D_pt of each run")
    sets: dict[Role, ReplaysOfSet]
    printed_relative: dict[Role, dict[float, float]] = Field(
        description="the shift at each printed replay ratio (Fig. 12) over that without replay (Fig. 3)"
    )


class Result(FigureResult):
    """The shift of every CPT run of the figure, and the power form fitted to each."""

    FIGURE: ClassVar[str] = "fig06"

    validations: dict[Role, str] = Field(description="validation set of each role")
    lambda_: float
    late: float = Field(description="last share of the steps of CPT, over which the size of a shift is averaged")
    hidden: dict[str, str] = Field(description="hidden curve of each run")
    domains: Domains
    replay: Replay
    least_r2: float | None = Field(description="smallest R2 of all power forms; None where one is not defined")
