"""What Figure 20 and Table 2 find."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FittedResult, JointFit, Part, TestedMean

VariantName = Annotated[str, StringConstraints(pattern="^(lr_weighted_01|lr_weighted_02|power)$")]


class HeldoutErrors(Part):
    """Mean relative errors on the CPT rows of the held-out runs."""

    runs: dict[str, float | None]
    mean: float | None = Field(description="over runs")


class Difference(TestedMean):
    """A held-out error minus another, tested over runs."""

    runs: dict[str, float | None]


class FormFit(JointFit):
    """A form of the law, fitted to all runs of the figure."""

    heldout: HeldoutErrors


class OriginalForm(FormFit):
    """Eq. 4."""

    skill: float | None = Field(None, description="as in Figure 3, where the fit comes from there")


class VariantForm(FormFit):
    """A variant of the annealing area."""

    eps: float | None = Field(description="power of the LR that weights the area; null where it has none")
    difference: Difference = Field(description="the held-out error minus that of Eq. 4")


class Handling(Part):
    """Eq. 4 with one handling of the annealing momentum at the transfer."""

    huber_sum: float
    heldout: HeldoutErrors


class CarryOver(Part):
    """Both handlings of the momentum, fitted to the same rows with the configured lambda."""

    carried: Handling = Field(description="over into CPT")
    restart: Handling = Field(description="at the transfer")
    difference: Difference = Field(description="the held-out error of `carried` minus that of `restart`")


class FormsOfSet(Part):
    """Eq. 4 and its variants on one validation set."""

    validation: str
    original: OriginalForm
    variants: dict[VariantName, VariantForm]
    carry_over: CarryOver


class Result(FittedResult):
    """Eq. 4 and its variants fitted to the same runs, and their errors on runs that none was fitted to."""

    FIGURE: ClassVar[str] = "fig20"

    runs: list[str]
    heldout_runs: list[str]
    sets: dict[Role, FormsOfSet]
