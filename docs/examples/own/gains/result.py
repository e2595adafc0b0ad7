"""What the figure finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, Part


class Change(Part):
    """A CPT run on one validation set."""

    run: str
    role: Role
    before: float = Field(description="loss at the transfer (nats/token)")
    after: float = Field(description="loss at the end of CPT (nats/token)")


class Result(FigureResult):
    """Losses before and after CPT."""

    FIGURE: ClassVar[str] = "gains"

    validations: dict[Role, str] = Field(description="validation set of each role")
    changes: list[Change]
    all_gain: bool = Field(description="whether every run ends at a lower loss on D_cpt")
