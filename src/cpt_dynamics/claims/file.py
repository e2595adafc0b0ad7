"""config/claims.yaml: what is claimed, and the bounds that decide whether it is so."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from cpt_dynamics import figures
from cpt_dynamics.claims.paths import check
from cpt_dynamics.config import Name, Section, explain, read_yaml
from cpt_dynamics.errors import UserError

CLAIMS = Path("config/claims.yaml")
SCHEMA = "workflow/schemas/claims.schema.json"

DottedPath = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.([A-Za-z0-9_]+|\*))+$")]


class Criterion(Section):
    """One number of a figure's result and the bounds between which it must lie, or one statement that must hold."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["above"]}, {"required": ["below"]}, {"required": ["is"]}]},
        populate_by_name=True,
    )

    value: DottedPath = Field(
        description="`<figure>.<keys>` of results/<scale>/fits/<figure>.json; a key `*` stands for each one there is,"
        " and each is a criterion of its own"
    )
    above: FiniteFloat | None = Field(None, description="the number must be greater than this")
    below: FiniteFloat | None = Field(None, description="the number must be less than this")
    is_: bool | None = Field(None, alias="is", description="what the statement must be")
    says: str = Field(
        min_length=1,
        description="what the number is, in a few words; `{key}` is what the `*` stands for, `{field}` a field of what"
        " lies there",
    )
    format: str = Field(
        ".4g", pattern=r"^\.\d+[gfe%]$", description="how the number is shown, a format of Python such as `.2%`"
    )
    printed: str | None = Field(None, description="what the paper prints for it; `{field}` as in `says`")

    @model_validator(mode="after")
    def _bounds(self) -> "Criterion":
        bounded = self.above is not None or self.below is not None
        if self.is_ is None and not bounded:
            raise ValueError("has no bound: give `above`, `below` or both, or `is` for a statement")
        if self.is_ is not None and bounded:
            raise ValueError("has `is` and a bound: give one of them")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(f"no number is above {self.above:g} and below {self.below:g}")
        return self

    @property
    def figure(self) -> str:
        return self.value.partition(".")[0]


class Claim(Section):
    """A claim of the paper, a question that it leaves open, or what one figure is checked for."""

    finding: int | None = Field(None, ge=1, le=5, description="number of the paper's finding")
    question: bool = Field(False, description="whether the paper leaves it open")
    shown_in: Name | None = Field(None, description="the figure whose own check it is")
    text: str = Field(min_length=1, description="the claim as a sentence")
    test: str | None = Field(None, description="the test and its assumptions (default: bounds alone decide)")
    criteria: dict[Name, Criterion] = Field(min_length=1, description="name -> criterion; all must hold")

    @model_validator(mode="after")
    def _kind(self) -> "Claim":
        if sum([self.finding is not None, self.question, self.shown_in is not None]) != 1:
            raise ValueError("give one of `finding` (of the paper), `question: true` and `shown_in` (a figure)")
        return self


class Planned(Section):
    """A contrast of a scale whose runs are not trained yet: what will be measured, and what will decide.

    Of the interval of the effect: supported where it lies wholly on the expected side of the margin, contradicted where
    wholly on the other, inconclusive where it spans the margin. Of several losses the worst word counts. The contrast
    `<scale>_x` is measured by the function `x` of `figures.contrasts.effects`.
    """

    scale: Name = Field(description="the scale whose runs decide")
    text: str = Field(min_length=1, description="the claim as a sentence")
    contrast: str = Field(min_length=1, description="what is compared with what, by names of runs")
    effect: str = Field(min_length=1, description="the number that is estimated, and on which losses")
    unit: Literal["run", "seed"] = Field(description="what is independent: the interval is over these")
    expects: Literal["below", "above", "within"] = Field(
        description="the side of the margin that supports the claim; `within`: between minus the margin and the margin"
    )
    margin: FiniteFloat = Field(description="the bound, with its sign, in the unit of `margin_in`")
    margin_in: Literal["nats", "relative", "ratio", "share", "seed noise", "R2"] = Field(
        description="unit of effect and margin; relative: of the loss, or of the shift where the effect is a shift;"
        " ratio: of an error to another; share: of a whole; seed noise: standard deviations of a final loss over seeds"
    )
    level: float | None = Field(
        gt=0, lt=1, description="the interval covers 1 minus this; null: too few units, the number alone decides"
    )
    contradicted_below: FiniteFloat | None = Field(
        None, description="an effect of any unit below this contradicts, too, whatever the others are"
    )
    rivals: list[str] = Field(min_length=1, description="explanations or predictors that are shown beside it")
    says: str = Field(min_length=1, description="why the margin is what it is")

    @model_validator(mode="after")
    def _margin(self) -> "Planned":
        if self.expects == "within" and self.margin <= 0:
            raise ValueError("nothing lies within a margin that is not positive")
        return self


class Claims(Section):
    claims: dict[Name, Claim] = Field(min_length=1, description="name -> claim, in the order in which they are shown")
    planned: dict[Name, Planned] = Field(
        {}, description="name -> contrast whose bounds are fixed before its runs are trained"
    )

    @property
    def figures(self) -> list[str]:
        """Figures whose results decide the claims, each once."""
        named = [criterion.figure for claim in self.claims.values() for criterion in claim.criteria.values()]
        return list(dict.fromkeys(named))


def load(path: Path = CLAIMS) -> Claims:
    """Read and check the claims; a mistake, also in a path, raises `UserError` that names the file and the key."""
    try:
        claims = Claims.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError("; ".join(explain(e, str(path), SCHEMA) for e in error.errors()[:3])) from None
    for name, claim in claims.claims.items():
        if claim.shown_in is not None:
            _check_figure(claim.shown_in, f"{path}: claims.{name}.shown_in")
        for key, criterion in claim.criteria.items():
            where = f"{path}: claims.{name}.criteria.{key}.value"
            _check_figure(criterion.figure, where)
            if claim.shown_in not in (None, criterion.figure):
                raise UserError(f"{where}: {criterion.value!r} is no number of {claim.shown_in}, which shown_in names")
            check(figures.result_type(criterion.figure), criterion.value, criterion.is_ is not None, where)
    return claims


def _check_figure(figure: str, where: str) -> None:
    if figure not in figures.names():
        raise UserError(f"{where}: there is no figure {figure!r}: choose one of {', '.join(figures.names())}")
