"""What Figure 17 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, Part
from cpt_dynamics.figures.kit.shifts import MeasuredShifts, ShiftForm


class Setting(Part):
    """The batch of a CPT run."""

    sequences: int = Field(description="of a batch")
    length: int = Field(description="tokens of a sequence")
    batch_tokens: int
    cpt_tokens: int = Field(description="that CPT trains on")
    changed: bool = Field(description="whether the batch is not that of pre-training")
    sequences_factor: float = Field(description="over that of pre-training")
    length_factor: float = Field(description="over that of pre-training")
    hidden: str = Field(description="the hidden curve with the same batch")


class End(Part):
    """The value of a form at the end of CPT."""

    s1cpt: float = Field(description="forward area of CPT (LR times steps)")
    shift: float = Field(description="nats/token")


class FormOfRun(ShiftForm):
    """Eq. 3 over the forward area, fitted to one run. Under a constant LR, C1 and C2 of Eq. 4 are not determined."""

    end: End
    rows: int


class Set(Part):
    """The shifts on one validation set."""

    validation: str
    runs: dict[str, FormOfRun]
    shifts: MeasuredShifts


class Result(FigureResult):
    """The shift of each CPT run against the hidden curve with the same batch, and a power form for each."""

    FIGURE: ClassVar[str] = "fig17"

    runs: list[str]
    settings: dict[str, Setting] = Field(description="of each run")
    validations: dict[Role, str] = Field(description="validation set of each role")
    sets: dict[Role, Set]
    least_r2: dict[Role, float | None] = Field(
        description="smallest R2 among the settings that changed; None without any or where one is not defined"
    )
