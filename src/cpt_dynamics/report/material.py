"""Everything that the report and the summary read: configuration, results, manifests, corpora."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cpt_dynamics import claims, experiments, figures
from cpt_dynamics.claims import Outcome, Verdict
from cpt_dynamics.claims.verdicts import of_figure
from cpt_dynamics.config import Config, Model, PretrainedModel, Role, explain
from cpt_dynamics.corpora.facts import facts, paths
from cpt_dynamics.curves.released import Release
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments, Plan
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.result import FigureResult, read_result
from cpt_dynamics.figures.kit.text import Text
from cpt_dynamics.files import canonical, digest, read_json
from cpt_dynamics.fitting import Fit
from cpt_dynamics.layout import Layout
from cpt_dynamics.report.agreement import Agreement, others, read_agreement
from cpt_dynamics.versions import versions

R = TypeVar("R", bound=FigureResult)
M = TypeVar("M", bound=BaseModel)
Keys = tuple[str, ...]


def _time(text: str) -> str:
    try:
        datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from None
    return text


Time = Annotated[str, AfterValidator(_time)]  # ISO 8601, UTC
Amount = Annotated[int, Field(ge=0, le=10**18)]


class Machine(BaseModel):
    """Where something was computed."""

    processor: str
    cores: int | None
    system: str


class Numerics(BaseModel):
    """What the numbers of a branch depend on besides text and settings."""

    model_config = ConfigDict(extra="allow")

    device: str
    precision: str
    compile: bool
    threads: int


class Manifest(BaseModel):
    """What the report reads of a branch's manifest."""

    run: str
    started: Time
    finished: Time
    cpu_seconds: float = Field(ge=0, le=1e12)
    epochs: dict[str, float]  # corpus -> how often the run had read it at the end of the branch
    numerics: Numerics
    machine: Machine
    versions: dict[str, str | None]


class Source(BaseModel):
    """What the report reads of a corpus' source.json."""

    licence: str
    kind: str | None = None
    description: str = ""
    sha256: str | None = None
    expected_sha256: str | None = None
    matches: bool | None = None


class Split(BaseModel):
    documents: Amount
    bytes: Amount


class Count(BaseModel):
    count: Amount


class NearDuplicates(BaseModel):
    """Validation documents that are nearly a training document: similarity -> their share."""

    documents: int
    share: dict[str, float]


class Facts(BaseModel):
    """What is known of a corpus whose text is tokenised."""

    source: Source
    split: Split
    train: Count
    validation: Count
    near_duplicates: NearDuplicates | None = None  # released curves of former versions have none


@dataclass(frozen=True)
class Corpus:
    """A corpus that is trained or validated on."""

    name: str
    role: str
    origin: str  # the kind of its source in the configuration
    description: str
    known: Facts


@dataclass(frozen=True)
class Material:
    """Results of a scale, read when they are asked for; what is missing raises `UserError` with its file."""

    config: Config

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.config)

    @cached_property
    def experiments(self) -> Experiments:
        return experiments.load(self.config)

    @cached_property
    def plan(self) -> Plan:
        return experiments.plan(self.experiments.runs.values(), self.config)

    @property
    def figures(self) -> list[str]:
        """Figures of the report, in the order of experiments.yaml."""
        return self.experiments.shown

    @cached_property
    def names(self) -> dict[str, str]:
        """How the report calls each figure: a figure of the paper by its number (`P4`: from printed coefficients), the
        others `S1`, `S2` ..."""
        own = [figure for figure in self.figures if not re.fullmatch(r"(printed_)?fig\d+", figure)]
        called = {figure: f"S{i}" for i, figure in enumerate(own, start=1)}
        paper = [figure for figure in self.figures if figure not in called]
        return called | {f: ("P" if f.startswith("printed") else "") + str(int(f[-2:])) for f in paper}

    def section(self, figure: str) -> str:
        """What a figure is made from: `runs` of this scale (its fits too), `none` (print), `public` or `delphi`."""
        entry = self.experiments.figures[figure]
        return "runs" if entry.needs else entry.curves

    @cached_property
    def _read(self) -> dict[str, FigureResult]:
        """Results that were read before: a table needs those of its figures alone."""
        return {}

    def of_figure(self, figure: str) -> FigureResult:
        """What the analysis of a figure found (`fits/<figure>.json`)."""
        if figure not in self._read:
            self._read[figure] = read_result(self.layout.fit(figure), figures.result_type(figure))
        return self._read[figure]

    @property
    def results(self) -> dict[str, FigureResult]:
        """The results of all figures."""
        return {figure: self.of_figure(figure) for figure in self.figures}

    def result(self, kind: type[R]) -> R | None:
        """The result of a figure, by its type; None where this scale does not have the figure."""
        if kind.FIGURE not in self.figures:
            return None
        found = self.of_figure(kind.FIGURE)
        assert isinstance(found, kind)
        return found

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """The verdict on every claim, question and check of config/claims.yaml."""
        return claims.evaluate(claims.load(), self.results)

    def checks(self, figure: str) -> list[Outcome]:
        """Every criterion that is a number of a figure, its own checks first."""
        return sorted(of_figure(self.verdicts, figure), key=lambda one: one.owner is None)

    def text(self, figure: str) -> Text:
        """The words about a figure."""
        data = FigureData(figure, self.config, self.experiments, self.results)
        return figures.text(data, self.of_figure(figure))

    def models(self) -> dict[str, Model | PretrainedModel]:
        """Models that the runs of the figures are trained with, in the order of the configuration."""
        used = {self.experiments.runs[run].model for run in self.experiments.chosen(None)}
        return {name: model for name, model in self.config.models.items() if name in used}

    @cached_property
    def agreement(self) -> Agreement | None:
        """How far the scale agrees with others that are released; None where there is no other."""
        return read_agreement(self.layout.agreement) if others(self.config) else None

    @cached_property
    def release(self) -> Release | None:
        """The released curves that everything is made from; None where the curves are trained here."""
        return Release.open(self.layout.release) if self.config.curves == "released" else None

    @cached_property
    def manifests(self) -> list[Manifest]:
        """Manifest of every branch that the figures need."""
        if self.release:
            runs = [self.experiments.runs[name] for name in self.experiments.chosen(None)]
            file = self.release.path("manifests.json")
            return [_parsed(Manifest, one, file) for one in self.release.manifests(runs, self.config).values()]
        needed = self.plan.needed(self.experiments.chosen(None))
        files = [self.layout.branch(branch.id).with_suffix(".json") for branch in needed]
        return [_parsed(Manifest, read_json(file), file) for file in files]

    @property
    def started(self) -> str:
        """When the first branch began to train, ISO 8601 in UTC."""
        return min(one.started for one in self.manifests)

    @property
    def finished(self) -> str:
        """When the last branch was done."""
        return max(one.finished for one in self.manifests)

    def fitted_with(self) -> dict[str, list[str]]:
        """Versions of each package that fits, figures and report are made with: those of training, unless its curves
        are released ones."""
        if self.release is None:
            return self.versions()
        return {name: [str(version or "not installed")] for name, version in versions().items()}

    def versions(self) -> dict[str, list[str]]:
        """Versions of each package that branches were trained with (one, unless it changed between branches)."""
        found: dict[str, set[str]] = {}
        for manifest in self.manifests:
            for name, version in manifest.versions.items():
                found.setdefault(name, set()).add(version if version is not None else "not installed")
        return {name: sorted(several) for name, several in found.items()}

    def devices(self) -> list[Numerics]:
        """Distinct devices (with precision, compilation, threads) that branches were trained on."""
        return list({canonical(one.numerics.model_dump()): one.numerics for one in self.manifests}.values())

    def machines(self) -> list[Machine]:
        """The machines that the branches were trained on, each once."""
        return list({canonical(one.machine.model_dump()): one.machine for one in self.manifests}.values())

    @cached_property
    def corpora(self) -> list[Corpus]:
        """What is known of each corpus that is trained or validated on, in the order of the roles."""
        return [self._corpus(name) for name in self.config.validations()]

    def _corpus(self, name: str) -> Corpus:
        roles = {Role.GENERAL: "D_pt", Role.STRONG: "D_cpt", Role.WEAK: "D_cpt (weak shift)"}
        if self.release:
            file = self.release.path("corpora.json")
            known = _parsed(Facts, self.release.corpora().get(name, {}), file)
        else:
            known = _parsed(Facts, facts(name, self.config), paths(name, self.config)["source"].parent)
        spec = self.config.corpora[name]
        played = [role.value for role in roles if getattr(self.config.roles, role) == name]
        role = ", ".join(played) or "out_of_domain"
        return Corpus(name, role, spec.source, spec.description or known.source.description, known)

    def fitting_seconds(self) -> float:
        """CPU seconds of all fits that the results keep, each counted once."""
        found = {digest(fit.to_json()): fit.cpu_seconds for result in self.results.values() for fit in stored(result)}
        return sum(found.values())


def stored(value: object) -> Iterator[Fit]:
    """All fits anywhere in a result."""
    for _, one in walk(value):
        if isinstance(one, Fit):
            yield one


def walk(value: object, keys: Keys = ()) -> Iterator[tuple[Keys, object]]:
    """Every part of a result with its keys, from the outside in; keys are those of the file."""
    yield keys, value
    inner: list[tuple[str, object]] = []
    if isinstance(value, BaseModel):
        inner = [(field.alias or name, getattr(value, name)) for name, field in type(value).model_fields.items()]
    elif isinstance(value, dict):
        inner = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, (list, tuple)):
        inner = [(str(number), one) for number, one in enumerate(value)]
    for key, one in inner:
        yield from walk(one, (*keys, key))


def _parsed(kind: type[M], raw: object, file: Path) -> M:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{explain(error.errors()[0], str(file))} (delete it and make it again)") from None
