"""What planned contrasts measure, and what is decided from it."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import FigureResult, Part

Numbers = dict[str, float]


class Effect(Part):
    """An effect on one loss, in the unit that its entry of claims.yaml states.

    `standard_error` and `freedom` are those of a mean over units, or of a slope through them; None where the effect is
    neither, or where there are too few units.
    """

    estimate: float
    standard_error: float | None = None
    freedom: int | None = Field(None, description="degrees of freedom of Student's t")
    units: Numbers = Field(description="what it is made of: by run, seed, size, ratio, set or weight")
    alike: bool = Field(True, description="whether the units are in the unit of the effect; those of a slope are not")


class Contrast(Part):
    """A planned contrast as measured. Keys of losses are roles of validation sets, or `goal` and `out_of_domain`."""

    losses: dict[str, Effect] = Field({}, description="the effect on each loss that is judged")
    rivals: dict[str, Numbers] = Field(
        {}, description="rival -> loss -> what the effect is with the rival in the place of what is claimed"
    )
    beside: dict[str, Numbers] = Field({}, description="what is shown and decides nothing: name -> loss -> number")
    missing: list[str] = Field([], description="runs that it needs and that have no curve yet")
    reason: str = Field("", description="why it is not defined although no run is missing")


class FittedLaw(Part):
    """A law that effects are measured with, as its search ended (see `fitting.Fit`)."""

    law: str
    role: str
    runs: list[str]
    n_points: int
    parameters: Numbers
    objective: float
    converged: bool
    at_bounds: list[str]
    n_starts: int
    n_agree: int


class SeedNoise(Part):
    """Standard deviations of a final CPT loss over seeds, pooled over runs that have all of them (nats/token)."""

    groups: list[str] = Field(description="the runs, by the name of their first seed")
    noise: float | None
    relative: float | None = Field(description="over the mean loss of each run")
    without_offset: float | None = Field(
        description="of what is left after the mean of each run and the common offset of each seed; None for one run"
    )


class Judged(Part):
    """What is decided on one loss."""

    low: float | None = Field(None, description="lower end of the interval")
    high: float | None = Field(None, description="upper end of the interval")
    word: str
    rival: str | None = Field(None, description="the rival that does most of what is claimed")
    rival_effect: float | None = None


class Decision(Part):
    """What is decided of a contrast, with the bounds that decide it (see `claims.contrasts`)."""

    text: str
    unit: str
    expects: str
    margin: float
    margin_in: str
    level: float | None
    word: str
    losses: dict[str, Judged]


class Result(FigureResult):
    """The effects of planned contrasts as far as the curves allow; `<scale>_x` of claims.yaml is `x` here."""

    FIGURE: ClassVar[str] = "contrasts"

    validations: dict[Role, str] = Field(description="validation set of each role")
    noise: dict[Role, SeedNoise]
    contrasts: dict[str, Contrast]
    fits: list[FittedLaw] = Field([], description="of all laws and rivals; fits to left-out transfers are not listed")
    decisions: dict[str, Decision] = Field(
        {}, description="filled in where it is drawn; the file has none, so that a new bound measures nothing anew"
    )
