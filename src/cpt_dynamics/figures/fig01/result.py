"""What Figure 1 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, Part


class Moved(Part):
    """Losses of a column on one validation set (nats/token), and how far CPT moved."""

    at_transfer: float = Field(description="of the hidden curve")
    cpt_at_end: float
    hidden_at_end: float
    scratch_at_end: float
    moved: float | None = Field(
        description="(hidden - CPT) / (hidden - scratch) at the end: 0 on the hidden curve, 1 on that from scratch"
    )


class Column(Part):
    """A CPT run and its two hidden curves."""

    cpt: str = Field(description="the run with CPT")
    hidden: str = Field(description="the run that stays on the general corpus")
    scratch: str = Field(description="the run on the domain corpus from the start")
    transfer: int = Field(description="steps of pre-training")
    steps: int = Field(description="of the whole run")
    sets: dict[Role, Moved]


class Extremes(Part):
    """The least and the most of `moved` over columns and sets; None where one is not defined."""

    least: float | None
    most: float | None


class Result(FigureResult):
    """For each CPT run, its two hidden curves and how far CPT moved from one to the other."""

    FIGURE: ClassVar[str] = "fig01"

    validations: dict[Role, str] = Field(description="validation set of each role")
    columns: list[Column]
    moved: Extremes
