"""What Figure 11 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FittedResult, JointFit, Part


class End(Part):
    """The end of the longest CPT."""

    s1cpt: float = Field(description="largest forward area of CPT among the fitted rows")
    shift: float = Field(description="the fitted shift term there (nats/token)")


class FitOfSet(JointFit):
    """Eq. 4 fitted to all runs of the figure."""

    end: End


class Result(FittedResult):
    """One fit of Eq. 4 to all runs on D_pt (`general`) and on the domain of weak shift (`weak`)."""

    FIGURE: ClassVar[str] = "fig11"

    runs: list[str]
    fits: dict[Role, FitOfSet]
