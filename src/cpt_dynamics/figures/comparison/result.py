"""What the comparison of all laws finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.comparison import RowNumbers
from cpt_dynamics.figures.kit.result import FigureResult, Parameters, Part, RowCounts, StoredFit, TestedMean


class ScoredLaw(Part):
    """A law and its errors on CPT rows of the held-out runs that no fitted run shares."""

    law: str
    source: str
    parameters: Parameters
    objective: float = Field(description="sum of Huber terms over the fitted rows")
    r2_fitted: float | None = Field(description="on the fitted rows")
    error: float | None = Field(description="mean relative error over all rows")
    worst: float | None = Field(description="worst relative error")
    r2: float | None = Field(description="over all rows")
    runs: dict[str, float | None] = Field(description="mean relative error by held-out run")
    r2_runs: dict[str, float | None]
    over_noise: float | None = Field(description="error over the relative seed noise of a final loss")
    converged: bool
    n_starts: int = Field(description="starts of the search")
    n_agree: int = Field(description="of them those that reached the best objective")
    seconds: float = Field(description="CPU time of the fit")
    fit: StoredFit
    rank: int | None = Field(description="by the error")
    n_parameters: int
    shift: bool = Field(description="whether it has a shift term")
    difference: TestedMean | None = Field(
        description="error minus that of Eq. 4, one value a held-out run; these share coefficients and the start of"
        " their training, so the interval is too narrow"
    )


class LawsOfSet(Part):
    """The comparison on one validation set."""

    validation: str
    rows: RowCounts
    heldout_rows: RowNumbers
    best: str | None = Field(description="law with the lowest error")
    better_fit: str = Field(description="law with the lowest objective")
    over_s1_only: float | None = Field(description="error of Eq. 4 over that of the law without annealing")
    over_best: float | None = Field(description="error of Eq. 4 over the lowest one")
    laws: dict[str, ScoredLaw]


class Result(FigureResult):
    """Errors of every law on both validation sets."""

    FIGURE: ClassVar[str] = "comparison"

    fitted_runs: list[str]
    heldout_runs: list[str]
    validations: dict[Role, str] = Field(description="validation set of each role")
    lambda_: float
    carry_over: bool
    first_step: int = Field(description="rows of pre-training before it are not fitted")
    not_applicable: dict[str, str] = Field(description="laws that cannot be fitted to these runs, with the reason")
    noise_relative: dict[Role, float | None] = Field(description="seed noise of a final loss over that loss")
    seconds: float = Field(description="CPU time of all fits")
    sets: dict[Role, LawsOfSet]
