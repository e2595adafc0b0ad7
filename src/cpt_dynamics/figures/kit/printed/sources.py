"""What the paper states of its analytic figures (`panels.yaml`), and the printed coefficients behind them."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from cpt_dynamics import laws
from cpt_dynamics.config import Section, explain, merge, read_yaml
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit import published
from cpt_dynamics.planning import Coefficients, Pair, Scenario

PANELS = Path("data/published/panels.yaml")
ROLES = {"general": "general", "strong": "domain"}  # as figures and as `Pair` call the two losses
Range = tuple[float, float]


class Source(Section):
    """Where coefficients are printed; `setting` where a figure prints several."""

    figure: str
    setting: str = ""


class Alternative(Section):
    """Another plain choice where the paper states none; `change` is laid over the panel's settings and scenario."""

    name: str
    change: dict[str, Any]


class Panel(Section):
    """One panel. printed: range of its losses in the paper (nats/token). steps: lengths of CPT. values: of the knob."""

    shows: str
    title: str = ""
    role: Literal["general", "strong", ""] = ""
    printed: Range | None = None
    scenario: dict[str, Any]
    steps: list[int] = Field([])
    values: list[float] = Field([])
    alternatives: list[Alternative] = Field([])

    def setting(self, change: Mapping[str, Any] | None = None) -> Scenario:
        """The panel's scenario, with a part of it changed."""
        raw = merge(self.scenario, dict((change or {}).get("scenario", {})))
        try:
            return TypeAdapter(Scenario).validate_python(raw)
        except ValidationError as error:
            raise UserError(explain(error.errors()[0], f"scenario of the panel that shows {self.shows}")) from None


class PrintedFigure(Section):
    """One figure: the coefficients it uses by name, what the paper states, and what is assumed."""

    title: str
    coefficients: dict[str, Source]
    settings: dict[str, Any]
    stated: list[str]
    assumptions: list[str]
    notes: list[str] = Field([])
    panels: dict[str, Panel]


class Rule(Section):
    """When a computed range agrees with a printed one (see `compare`)."""

    inside: float = Field(gt=0, le=1)
    covers: float = Field(gt=0, le=1)
    text: str


class Panels(Section):
    """The whole file."""

    source: str
    rule: Rule
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


def equation(source: Source, role: str) -> published.Printed:
    """The printed equation of a source for the role "general" or "strong"."""
    for item in _equations():
        if (item.figure, item.role) == (source.figure, role) and source.setting in ("", item.setting):
            return item
    raise UserError(f"{published.PUBLISHED} has no equation of {source.figure} {source.setting} for {role!r}: add it")


def coefficients(
    source: Source, role: str, settings: Mapping[str, Any], law: str = "cpt", **others: float
) -> Coefficients:
    """Printed coefficients as a predictor. others: values for coefficients that are not printed."""
    parameters = {**equation(source, role).parameters, **others}
    known = {name: value for name, value in parameters.items() if value is not None}
    missing = [name for name in parameters if name not in known]
    if missing:
        raise UserError(f"{', '.join(missing)} of {source.figure} for {role!r} is not printed: give a value")
    return Coefficients(laws.get(law), known, settings)


def pair(source: Source, settings: Mapping[str, Any]) -> Pair:
    """Eq. 4 on D_pt and on D_cpt with the coefficients of one source."""
    return Pair(*(coefficients(source, role, settings) for role in ROLES))


def changed(figure: PrintedFigure, change: Mapping[str, Any]) -> dict[str, Any]:
    """The figure's settings of the areas with those of an alternative laid over them."""
    return {**figure.settings, **change.get("settings", {})}


def compare(printed: Range, computed: Range, rule: Rule) -> dict[str, Any]:
    """Both ranges, their overlap as shares of either, and the verdict of the rule."""
    low, high = max(printed[0], computed[0]), min(printed[1], computed[1])
    common = high - low
    inside = max(common, 0.0) / (computed[1] - computed[0]) if computed[1] > computed[0] else float(common >= 0)
    covers = max(common, 0.0) / (printed[1] - printed[0])
    agrees = inside >= rule.inside and covers >= rule.covers
    verdict = "agrees" if agrees else "agrees in part" if common > 0 else "does not agree"
    return {"printed": printed, "computed": computed, "inside": inside, "covers": covers, "verdict": verdict}


def check(text: str, holds: bool) -> dict[str, Any]:
    """A statement about computed curves, and whether it holds."""
    return {"text": text, "holds": bool(holds)}


def head(figure: str, found: PrintedFigure) -> dict[str, Any]:
    """What every result of a printed figure begins with. figure: its name, such as "printed_fig05"."""
    used = {
        name: {role: dict(equation(source, role).parameters) for role in ROLES}
        for name, source in found.coefficients.items()
    }
    first = next(iter(found.coefficients.values()))
    figures = {source.figure for source in found.coefficients.values()}
    return {
        "figure": figure,
        "title": found.title,
        "source": load().source,
        "lambda": found.settings["lambda"],
        "carry_over": found.settings["carry_over"],
        "validations": {role: equation(first, role).validation for role in ROLES},
        "coefficients": {
            name: {"figure": source.figure, "setting": source.setting, **used[name]}
            for name, source in found.coefficients.items()
        },
        "stated": found.stated,
        "assumptions": found.assumptions,
        "notes": [*found.notes, *(text for key, text in load().notes.items() if key in figures)],
        "rule": load().rule.text,
    }
