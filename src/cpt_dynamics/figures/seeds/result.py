"""What the figure of the noise of seeds finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, JointFit, Part

OfRole = dict[Role, float | None]


class Along(Part):
    """The pooled deviation at every step of CPT that is measured in all groups of the most common length."""

    phase_step: list[int] = Field(description="steps of CPT")
    sd: list[float] = Field(description="nats/token")


class FinalLosses(Part):
    """Losses at the end of CPT of a group, over its seeds (nats/token)."""

    losses: dict[str, float] = Field(description="by run")
    mean: float
    sd: float


class OverSeeds(Part):
    """A number of the law over seeds; `low` and `high` are the ends of the 90 % interval of its mean."""

    values: list[float]
    sd: float
    mean: float | None
    low: float | None
    high: float | None
    n: int


class SeedErrors(Part):
    """Errors of a fit on the CPT rows of one seed."""

    n: float
    r2: float | None
    rmse: float | None = Field(description="nats/token")
    mean_relative_error: float | None
    worst_relative_error: float | None
    over_noise: float | None = Field(description="the mean relative error over the relative noise of a final loss")


class FitErrors(Part):
    """Errors of two fits on one seed."""

    first: SeedErrors = Field(description="of the fit to the first seed")
    own: SeedErrors = Field(description="of the fit to this seed")


class Predicted(Part):
    """The final loss that the first seed's fit predicts for a group (nats/token)."""

    predicted: float
    error: float | None = Field(description="minus the mean over seeds")
    over_noise: float | None = Field(description="the error over the noise of a final loss")


class LawOfSeeds(Part):
    """Eq. 4 fitted to each seed's runs of Fig. 3. Keys of a dict of seeds are seeds."""

    runs: dict[int, list[str]]
    fits: dict[int, JointFit]
    parameters: dict[str, OverSeeds]
    combinations: dict[str, OverSeeds]
    errors: dict[int, FitErrors]
    first_on_others: float | None = Field(
        description="mean relative error of the first seed's fit on the other seeds, a mean over those"
    )
    first_over_own: float | None = Field(description="the same over that of the fits to those seeds themselves")
    final: dict[str, Predicted] = Field(description="by group")


class Result(FigureResult):
    """Standard deviations over seeds of CPT losses, and Eq. 4 at each seed.

    A group is a CPT run with all its seeds. Deviations are pooled: the square root of the mean over groups of the
    variance, with n-1 of n seeds (nats/token). Everything is None without repeated seeds.
    """

    FIGURE: ClassVar[str] = "seeds"

    runs: list[str]
    validations: dict[Role, str] = Field(description="validation set of each role")
    groups: dict[str, list[str]] = Field(description="what was trained -> its runs, one a seed")
    skipped: list[str] = Field(description="groups with one seed, which are left out")
    seeds: list[int]
    noise: OfRole = Field(description="deviation of the final loss")
    noise_relative: OfRole = Field(description="deviation of the final loss over its mean")
    along: dict[Role, Along | None]
    offset: OfRole = Field(description="deviation of a curve's mean over its measured steps")
    residual: OfRole = Field(description="deviation of what is left around the mean of each curve")
    offset_by_chance: OfRole = Field(
        description="the offset if only the residual were there and its steps were independent"
    )
    noise_of_sets: dict[str, float | None] = Field(description="`noise` by validation set")
    noise_relative_of_sets: dict[str, float | None] = Field(description="`noise_relative` by validation set")
    final: dict[str, dict[str, FinalLosses]] = Field(description="by validation set and group")
    law: dict[Role, LawOfSeeds | None]
