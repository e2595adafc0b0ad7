"""What Figure 19 finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import Errors, FittedResult, JointFit, Part


class FittedForm(JointFit):
    """One form of Eq. 8 fitted to all runs. Replay ratios are keys, as shares of D_pt (`0`, `0.33`)."""

    ratios: dict[str, Errors] = Field(description="errors on the CPT rows of each ratio")


class TestedForm(FittedForm):
    """A form that each ratio is predicted with, too, from a fit to the others (mean relative errors on CPT rows)."""

    left_out: dict[str, float] = Field(description="error at each ratio")
    left_out_mean: float
    left_out_worst: float


class FormsOfSet(Part):
    """The forms of Eq. 8 on one validation set."""

    printed: TestedForm = Field(description="as printed")
    exchanged: TestedForm = Field(description="with the growths of its two shifts exchanged")
    r_pt: FittedForm | None = Field(
        None,
        description="on D_cpt, as printed but with r_pt for r_cpt in the annealing factor. As a1 may have either sign,"
        " both are one law: C2*exp(a1) and -a1 of one are C2 and a1 of the other, so that no fit tells them apart;"
        " only the sign of a1 says which of the two the data ask for.",
    )

    @property
    def growths(self) -> dict[str, TestedForm]:
        """The two forms of the growths by name."""
        return {"printed": self.printed, "exchanged": self.exchanged}


class Result(FittedResult):
    """One fit of each form of Eq. 8 to all replay ratios on each validation set."""

    FIGURE: ClassVar[str] = "fig19"

    runs: list[str]
    ratios: dict[str, list[str]] = Field(description="the CPT runs at each ratio, ascending")
    schedules: list[dict[str, str]] = Field(description="for each LR schedule, the CPT run under it at each ratio")
    fits: dict[Role, FormsOfSet]
