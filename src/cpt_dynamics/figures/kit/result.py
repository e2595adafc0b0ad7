"""The types that results of figures are made of. A result is a file `fits/<figure>.json` and nothing else."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from cpt_dynamics.config import Role, Section, explain
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import plain, read_json
from cpt_dynamics.fitting import Fit


def _alias(name: str) -> str:
    return name.removesuffix("_")


class Part(Section):
    """A part of a result. A trailing underscore of a field (`lambda_`) is not in the file; NaN is written as null."""

    model_config = ConfigDict(
        alias_generator=_alias, populate_by_name=True, protected_namespaces=(), strict=False, allow_inf_nan=True
    )

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return plain(value) if isinstance(value, dict) else value


class FigureResult(Part):
    """What the analysis of a figure found."""

    FIGURE: ClassVar[str]

    figure: str = Field(description="the figure's name")
    title: str = Field(description="the figure's title in experiments.yaml")
    made_from: str | None = Field(None, description="sha256 of the curves and settings that it was made from")


class FittedResult(FigureResult):
    """What the fits of a figure found, and the choices of the configuration that they were made with."""

    validations: dict[Role, str] = Field(description="validation set of each role")
    lambda_: float
    carry_over: bool
    first_step: int = Field(description="rows of pre-training before it are not fitted")


class SizesResult(FittedResult):
    """Fits to runs of several model sizes."""

    runs: list[str]
    models: dict[str, list[str]] = Field(description="the CPT runs of each model")
    params: dict[str, int] = Field(description="non-embedding parameters of each model")


R = TypeVar("R", bound=FigureResult)


def read_result(path: str | Path, kind: type[R]) -> R:
    """Read `fits/<figure>.json`; a file of another form raises `UserError` that names the key and the remedy."""
    raw = read_json(path)
    if not isinstance(raw, dict) or raw.get("figure") != kind.FIGURE:
        raise UserError(f"{path} is no result of {kind.FIGURE}: make it again (`snakemake {kind.FIGURE}`)")
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = explain(error.errors()[0], str(path))
        raise UserError(f"{first} (make it again: `snakemake {kind.FIGURE}`)") from None


def to_json(result: FigureResult) -> dict[str, Any]:
    """The mapping that `files.write_json` writes and `read_result` reads."""
    return result.model_dump(mode="json", by_alias=True)


def _fit(value: Any) -> Fit:
    if isinstance(value, Fit):
        return value
    try:
        return Fit.from_json(value)
    except UserError as error:
        raise ValueError(str(error).removesuffix(" (fit again)")) from None  # so that file and key are named


StoredFit = Annotated[
    Fit,
    PlainValidator(_fit),
    PlainSerializer(lambda fit: plain(fit.to_json()), return_type=dict),
    WithJsonSchema({"type": "object", "description": "a fit, see fit.schema.json"}),
]
Parameters = dict[str, float]


class RowCounts(Part):
    """Rows of a fit."""

    used: int
    continual: int = Field(description="of them after a transfer")
    left_out_early: int = Field(description="of pre-training before `law.first_step`")
    left_out_shared: int = Field(description="measured in another run of the fit, too")


class JointFit(Part):
    """A law fitted to all runs of a figure at once, on one validation set."""

    role: str
    validation: str
    lambda_: float
    carry_over: bool
    parameters: Parameters
    r2: float | None = Field(description="on all fitted rows")
    r2_continual: float | None = Field(description="on CPT rows alone")
    huber_sum: float
    huber_mean: float
    mean_relative_error: float
    mean_relative_error_continual: float | None
    worst_relative_error_continual: float | None
    rows: RowCounts
    fit: StoredFit


class Errors(Part):
    """Errors of a prediction on some rows (`fitting.measure`): of losses in nats/token, relative ones over them."""

    n: float
    r2: float | None = None
    mean_relative_error: float | None = None
    worst_relative_error: float | None = None
    mae: float | None = None
    rmse: float | None = None
    huber_mean: float | None = None

    @classmethod
    def of(cls, measured: dict[str, float]) -> Self:
        """What is kept of `fitting.measure`."""
        return cls(**{key: measured.get(key) for key in cls.model_fields})


class TestedMean(Part):
    """A mean over values, one a `unit` (run, seed or pair of runs), and the one-sided t-test that it is not below 0.

    `low`, `high` and `p` are None for fewer than two values or without spread.
    """

    mean: float | None
    n: int
    unit: str
    low: float | None = Field(None, description="lower end of the 90 % interval")
    high: float | None = Field(None, description="upper end of the 90 % interval")
    p: float | None = Field(None, description="of a mean of at least zero")


class TestedSlope(Part):
    """The slope of a least-squares line through points, one a `unit`, with its 90 % interval (None below 3 points)."""

    slope: float | None
    low: float | None = None
    high: float | None = None
    n: int
    unit: str
