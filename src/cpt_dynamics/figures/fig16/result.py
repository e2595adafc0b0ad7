"""What Figure 16 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import JointFit, SizesResult


class Result(SizesResult):
    """One fit of Eq. 4 for each model size of the figure and each validation set."""

    FIGURE: ClassVar[str] = "fig16"

    fits: dict[str, dict[Role, JointFit]] = Field(description="by model")
