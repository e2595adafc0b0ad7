"""The findings as tests: what `config/claims.yaml` claims, and the verdict that the fits of a scale give.

python -m cpt_dynamics.analysis.findings                  # say whether the schema of claims.yaml is out of date
python -m cpt_dynamics.analysis.findings --write-schema   # write it
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from cpt_dynamics.analysis.figures import FIGURES
from cpt_dynamics.config import Name, Section, explain, read_yaml
from cpt_dynamics.config_docs import schema as json_schema
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import atomic

CLAIMS = Path("config/claims.yaml")
SCHEMA_FILE = Path("workflow/schemas/claims.schema.json")
SCHEMA = "cpt-dynamics/findings/1"  # of findings.json

Word = Literal["reproduced", "partly", "not reproduced", "not testable at this scale"]
WORDS: tuple[Word, ...] = ("reproduced", "partly", "not reproduced", "not testable at this scale")
SUPPORT: dict[Word, str] = {  # what a verdict says of a question that the paper leaves open
    "reproduced": "supported",
    "partly": "supported in part",
    "not reproduced": "not supported",
    "not testable at this scale": "not testable at this scale",
}

DottedPath = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[A-Za-z0-9_]+)+$")]


class Criterion(Section):
    """One number of an analysis, and the bounds between which it must lie."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["above"]}, {"required": ["below"]}]})

    value: DottedPath = Field(description="`<figure>.<keys>` of results/<scale>/fits/<figure>.json")
    above: FiniteFloat | None = Field(None, description="the number must be greater than this")
    below: FiniteFloat | None = Field(None, description="the number must be less than this")
    says: str = Field(min_length=1, description="what the number is, in a few words")

    @model_validator(mode="after")
    def _bounds(self) -> "Criterion":
        if self.above is None and self.below is None:
            raise ValueError("has no bound: give `above`, `below` or both")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(f"no number is above {self.above:g} and below {self.below:g}")
        return self

    @property
    def figure(self) -> str:
        return self.value.partition(".")[0]


class Claim(Section):
    """What the paper claims, or leaves open, and what decides whether it is so."""

    finding: Literal[1, 2, 3, 4, 5] | None = Field(
        description="number of the paper's finding; null for a question that the paper leaves open"
    )
    text: str = Field(min_length=1, description="the claim as a sentence")
    test: str | None = Field(None, description="the test and its assumptions (default: bounds alone decide)")
    criteria: dict[Name, Criterion] = Field(min_length=1, description="name -> criterion; all must hold")


class Planned(Section):
    """A contrast of a scale whose runs are not trained yet: what will be measured, and what will decide.

    Of the interval of the effect: supported where it lies wholly on the expected side of the margin, contradicted where
    wholly on the other, inconclusive where it spans the margin.
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
        """Figures whose fits decide the claims, each once."""
        named = [criterion.figure for claim in self.claims.values() for criterion in claim.criteria.values()]
        return list(dict.fromkeys(named))


@dataclass(frozen=True)
class Outcome:
    """A criterion with its number; `value` is None where it is not defined."""

    name: str
    says: str
    path: str
    value: float | None
    above: float | None
    below: float | None

    @property
    def holds(self) -> bool:
        """False too where the number is not defined."""
        if self.value is None:
            return False
        return (self.above is None or self.value > self.above) and (self.below is None or self.value < self.below)


@dataclass(frozen=True)
class Finding:
    """A claim with the outcome of every criterion."""

    name: str
    finding: int | None
    text: str
    test: str | None
    criteria: tuple[Outcome, ...]

    @property
    def verdict(self) -> Word:
        """From the criteria alone: all, some or none hold, or none has a number."""
        if all(one.value is None for one in self.criteria):
            return "not testable at this scale"
        if all(one.holds for one in self.criteria):
            return "reproduced"
        return "partly" if any(one.holds for one in self.criteria) else "not reproduced"

    @property
    def held(self) -> int:
        return sum(one.holds for one in self.criteria)

    @property
    def figures(self) -> list[str]:
        """Figures that show the numbers, each once."""
        return list(dict.fromkeys(one.path.partition(".")[0] for one in self.criteria))

    @property
    def open(self) -> bool:
        """Whether this is a question that the paper leaves open rather than a claim of it."""
        return self.finding is None


def load(path: Path = CLAIMS) -> Claims:
    """Read and check the claims; a mistake raises `UserError` that names the file and the key."""
    try:
        claims = Claims.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError("; ".join(explain(e, str(path)) for e in error.errors()[:3])) from None
    for claim, criterion, one in _all(claims):
        if one.figure not in FIGURES:
            raise UserError(
                f"{path}: claims.{claim}.criteria.{criterion}.value: there is no figure {one.figure!r}:"
                f" choose one of {', '.join(FIGURES)}"
            )
    return claims


def evaluate(claims: Claims, results: Mapping[str, Any]) -> list[Finding]:
    """A verdict on every claim: the paper's in the order of its findings, open questions last.

    results: figure -> what its analysis found (`fits/<figure>.json`). Numbers of a figure that is not among them are
    not defined, as is a number that is null or not finite. A path that does not lead to a number of a figure that is
    there raises `UserError` naming claim, criterion and path.
    """
    found = [
        Finding(
            name,
            claim.finding,
            claim.text,
            claim.test,
            tuple(
                Outcome(key, one.says, one.value, _value(one, results, f"{name}.criteria.{key}"), one.above, one.below)
                for key, one in claim.criteria.items()
            ),
        )
        for name, claim in claims.claims.items()
    ]
    return sorted(found, key=lambda one: math.inf if one.finding is None else one.finding)


def _all(claims: Claims) -> list[tuple[str, str, Criterion]]:
    return [(name, key, one) for name, claim in claims.claims.items() for key, one in claim.criteria.items()]


def _value(criterion: Criterion, results: Mapping[str, Any], where: str) -> float | None:
    """The number of a criterion; None where it is not defined."""
    figure, *keys = criterion.value.split(".")
    if figure not in results:
        return None
    value = results[figure]
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            raise UserError(
                f"{CLAIMS}: claims.{where}: {criterion.value!r} is not in the fit of {figure} (no key {key!r}):"
                f" mend the path, or make the fit again (`snakemake {figure}`)"
            )
        value = value[key]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f"{CLAIMS}: claims.{where}: {criterion.value!r} is no number: end the path at one")
    return float(value) if math.isfinite(value) else None


def counts(findings: list[Finding]) -> dict[Word, int]:
    """Verdict -> number of claims, in the order of `WORDS`."""
    return {word: sum(one.verdict == word for one in findings) for word in WORDS}


def to_json(findings: list[Finding], scale: str) -> dict[str, Any]:
    """findings.json.

    schema; scale; counts: verdict -> number of the paper's claims (open questions are not counted).
    claims.<name> : finding, claim, test, verdict, figures, criteria.<name> : says, path, value (null: not defined),
        above, below, holds.
    """
    return {
        "schema": SCHEMA,
        "scale": scale,
        "counts": counts([one for one in findings if not one.open]),
        "claims": {
            one.name: {
                "finding": one.finding,
                "claim": one.text,
                "test": one.test,
                "verdict": one.verdict,
                "figures": one.figures,
                "criteria": {
                    c.name: {key: value for key, value in asdict(c).items() if key != "name"} | {"holds": c.holds}
                    for c in one.criteria
                },
            }
            for one in findings
        },
    }


def schema() -> dict[str, Any]:
    """JSON schema of claims.yaml, for editors."""
    return json_schema(Claims, "config/claims.yaml")


def schema_text() -> str:
    """The text of `SCHEMA_FILE`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check or write the schema of config/claims.yaml.")
    parser.add_argument("--write-schema", action="store_true", help="write it if it is out of date")
    write = parser.parse_args(arguments).write_schema
    if SCHEMA_FILE.exists() and SCHEMA_FILE.read_text(encoding="utf-8") == schema_text():
        return 0
    if write:
        with atomic(SCHEMA_FILE) as temporary:
            temporary.write_text(schema_text(), encoding="utf-8")
    said = "wrote" if write else "out of date (python -m cpt_dynamics.analysis.findings --write-schema)"
    print(f"{said}: {SCHEMA_FILE}")
    return 0 if write else 1


if __name__ == "__main__":
    sys.exit(main())
