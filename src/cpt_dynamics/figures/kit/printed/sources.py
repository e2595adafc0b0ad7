"""What the paper states of its analytic figures (`panels.yaml`), and the printed coefficients behind them."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from cpt_dynamics import laws
from cpt_dynamics.config import Role, Section, explain, merge, read_yaml
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit import published
from cpt_dynamics.figures.kit.result import FigureResult, Part
from cpt_dynamics.figures.kit.statement import Statement
from cpt_dynamics.planning import Coefficients, Pair, Scenario
from cpt_dynamics.planning.optimum import Measure

PANELS = Path("data/published/panels.yaml")
ROLES = (Role.GENERAL, Role.STRONG)
Range = Annotated[tuple[float, float], Field(strict=False)]  # a list in YAML
Settings = dict[str, float | bool | str]  # of the areas, see `curves.features`


class Source(Section):
    """Where coefficients are printed; `setting` where a figure prints several."""

    figure: str
    setting: str = ""


class Change(Section):
    """What an alternative lays over the settings and the scenario of a panel."""

    settings: Settings = Field({})
    scenario: dict[str, object] = Field({})
    measure: Measure = "change"


class Alternative(Section):
    """Another plain choice where the paper states none."""

    name: str
    change: Change


class Panel(Section):
    """One panel. printed: range of its losses in the paper (nats/token). steps: lengths of CPT. values: of the knob."""

    shows: str
    title: str = ""
    role: Literal["general", "strong", ""] = ""
    printed: Range | None = None
    scenario: dict[str, object]
    steps: list[int] = Field([])
    values: list[float] = Field([])
    alternatives: list[Alternative] = Field([])

    def setting(self, change: Change | None = None) -> Scenario:
        """The panel's scenario, with a part of it changed."""
        raw = merge(self.scenario, change.scenario if change else {})
        try:
            return TypeAdapter(Scenario).validate_python(raw)
        except ValidationError as error:
            raise UserError(explain(error.errors()[0], f"scenario of the panel that shows {self.shows}")) from None

    @property
    def printed_range(self) -> Range:
        """The range of its losses in the paper; `UserError` where none is stated."""
        if self.printed is None:
            raise UserError(f"{PANELS}: the panel that shows {self.shows} has no `printed` range: give it")
        return self.printed


class PrintedFigure(Section):
    """One figure: the coefficients it uses by name, what the paper states, and what is assumed."""

    title: str
    shows: str = Field(description="what is drawn, for the caption")
    coefficients: dict[str, Source]
    settings: Settings
    stated: list[str]
    assumptions: list[str]
    notes: list[str] = Field([])
    panels: dict[str, Panel]


class Panels(Section):
    """The whole file."""

    source: str
    figures: dict[str, PrintedFigure]
    notes: dict[str, str]


@cache
def load(path: str | Path = PANELS) -> Panels:
    """`panels.yaml`; a mistake raises `UserError` with the key's path."""
    raw = read_yaml(path)
    try:
        return Panels.model_validate(raw)
    except ValidationError as error:
        raise UserError(explain(error.errors()[0], str(path))) from None


@cache
def _equations() -> list[published.Printed]:
    return published.load()


def equation(source: Source, role: Role) -> published.Printed:
    """The printed equation of a source on the set of a role."""
    for item in _equations():
        if (item.figure, item.role) == (source.figure, role) and source.setting in ("", item.setting):
            return item
    where = f"{source.figure} {source.setting}"
    raise UserError(f"{published.PUBLISHED} has no equation of {where} for {role.value!r}: add it")


def coefficients(source: Source, role: Role, settings: Settings, law: str = "cpt", **others: float) -> Coefficients:
    """Printed coefficients as a predictor. others: values for coefficients that are not printed."""
    parameters = {**equation(source, role).parameters, **others}
    known = {name: value for name, value in parameters.items() if value is not None}
    missing = [name for name in parameters if name not in known]
    if missing:
        raise UserError(f"{', '.join(missing)} of {source.figure} for {role.value!r} is not printed: give a value")
    return Coefficients(laws.get(law), known, settings)


def pair(source: Source, settings: Settings) -> Pair:
    """Eq. 4 on D_pt and on D_cpt with the coefficients of one source."""
    return Pair(*(coefficients(source, role, settings) for role in ROLES))


def changed(figure: PrintedFigure, change: Change) -> Settings:
    """The figure's settings of the areas with those of an alternative laid over them."""
    return {**figure.settings, **change.settings}


class PrintedCoefficients(Part):
    """Where coefficients are printed, and their values on both sets (None: not printed)."""

    figure: str
    setting: str
    general: dict[str, float | None]
    strong: dict[str, float | None]


class PrintedResult(FigureResult):
    """What every figure from printed coefficients finds."""

    source: str
    lambda_: float
    carry_over: bool
    validations: dict[Role, str] = Field(description="the paper's validation set of each role")
    coefficients: dict[str, PrintedCoefficients]
    stated: list[str] = Field(description="by the paper")
    assumptions: list[str] = Field(description="where the paper states nothing")
    notes: list[str]
    checks: list[Statement] = Field(description="what the paper's panels show, and whether the computed ones do")


def head(figure: str, found: PrintedFigure, checks: list[Statement]) -> PrintedResult:
    """What the result of a figure, such as "printed_fig05", begins with."""
    first = next(iter(found.coefficients.values()))
    figures = {source.figure for source in found.coefficients.values()}
    return PrintedResult(
        figure=figure,
        title=found.title,
        source=load().source,
        lambda_=float(found.settings["lambda"]),
        carry_over=bool(found.settings["carry_over"]),
        validations={role: equation(first, role).validation for role in ROLES},
        coefficients={
            name: PrintedCoefficients(
                **source.model_dump(), **{role: dict(equation(source, role).parameters) for role in ROLES}
            )
            for name, source in found.coefficients.items()
        },
        stated=found.stated,
        assumptions=found.assumptions,
        notes=[*found.notes, *(text for key, text in load().notes.items() if key in figures)],
        checks=checks,
    )
