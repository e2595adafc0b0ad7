"""A verdict on every claim: what its criteria measure in the results of a scale, and the one of four words it gives."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import BaseModel

from cpt_dynamics.claims.file import CLAIMS, Claim, Claims, Criterion
from cpt_dynamics.claims.paths import EVERY, follow
from cpt_dynamics.errors import UserError

SCHEMA = "cpt-dynamics/findings/3"  # of findings.json
NOT_WRITTEN = ("name", "is_", "format", "printed", "owner")  # fields of an outcome that it does not repeat

Word = Literal["supported", "contradicted", "inconclusive", "not testable"]
WORDS: tuple[Word, ...] = ("supported", "contradicted", "inconclusive", "not testable")


@dataclass(frozen=True)
class Outcome:
    """A criterion with what was measured.

    value: None where it is not defined; a statement is 1 where it holds and 0 where not, and its bounds are None.
    """

    name: str
    says: str
    path: str
    value: float | None
    above: float | None
    below: float | None
    is_: bool | None
    format: str
    printed: str | None
    owner: str | None = None  # the figure whose own check it is

    @property
    def holds(self) -> bool:
        """False too where the value is not defined."""
        if self.value is None:
            return False
        if self.is_ is not None:
            return bool(self.value) == self.is_
        return (self.above is None or self.value > self.above) and (self.below is None or self.value < self.below)

    @property
    def figure(self) -> str:
        return self.path.partition(".")[0]


def word(outcomes: Sequence[Outcome]) -> Word:
    """From the criteria alone: all hold, none holds, some do, or none has a value."""
    if all(one.value is None for one in outcomes):
        return "not testable"
    if all(one.holds for one in outcomes):
        return "supported"
    return "inconclusive" if any(one.holds for one in outcomes) else "contradicted"


@dataclass(frozen=True)
class Verdict:
    """A claim with the outcome of every criterion."""

    name: str
    claim: Claim
    outcomes: tuple[Outcome, ...]

    @property
    def word(self) -> Word:
        return word(self.outcomes)

    @property
    def held(self) -> int:
        return sum(one.holds for one in self.outcomes)

    @property
    def figures(self) -> list[str]:
        """Figures that show the numbers, each once."""
        return list(dict.fromkeys(one.figure for one in self.outcomes))


def evaluate(claims: Claims, results: Mapping[str, BaseModel]) -> list[Verdict]:
    """A verdict on every claim: the paper's in the order of its findings, then open questions, then checks of figures.

    results: figure -> its result. Numbers of a figure that is not among them are not defined, nor is one that is
    null or that a run which this scale does not have would give.
    """
    found = [Verdict(name, claim, tuple(_outcomes(claim, results))) for name, claim in claims.claims.items()]
    return sorted(found, key=lambda one: one.claim.finding or (6 if one.claim.question else 7))


def _outcomes(claim: Claim, results: Mapping[str, BaseModel]) -> Iterator[Outcome]:
    for name, criterion in claim.criteria.items():
        yield from _measured(name, criterion, results.get(criterion.figure), claim.shown_in)


def _measured(name: str, criterion: Criterion, result: BaseModel | None, owner: str | None) -> Iterator[Outcome]:
    """The outcome of a criterion; of each key where its path has a `*`."""
    steps = list(follow(result, criterion.value)) if result is not None else []
    for key, item, value in steps or [("", None, None)]:
        fields = {**(dict(item) if isinstance(item, BaseModel) else {}), "key": key} if key else None
        yield Outcome(
            f"{name}.{key}" if key else name,
            _said(criterion.says, fields, criterion),
            _filled(criterion.value, key),
            float(value) if value is not None and math.isfinite(value) else None,
            criterion.above,
            criterion.below,
            criterion.is_,
            criterion.format,
            _said(criterion.printed, fields, criterion) if criterion.printed else None,
            owner,
        )


def _said(text: str, fields: Mapping[str, Any] | None, criterion: Criterion) -> str:
    """A text of a criterion with its fields filled in; fields: None where nothing lies at the `*`, or there is none."""
    if EVERY not in criterion.value:
        return text
    if fields is None:
        return re.sub(r"\{[^{}]*\}", "...", text)
    try:
        return text.format_map(fields)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        named = ", ".join(fields)
        raise UserError(
            f"{CLAIMS}: {criterion.value}: {text!r} cannot be filled in ({type(error).__name__}: {error}): it may name"
            f" {named}"
        ) from None


def _filled(path: str, key: str) -> str:
    """A path with the keys that its `*` stand for, if there are any."""
    for one in key.split(".") if key else []:
        path = path.replace(EVERY, one, 1)
    return path


def counts(verdicts: Sequence[Verdict]) -> dict[Word, int]:
    """Word -> number of claims, in the order of `WORDS`."""
    return {one: sum(verdict.word == one for verdict in verdicts) for one in WORDS}


def of_figure(verdicts: Sequence[Verdict], figure: str) -> list[Outcome]:
    """Every outcome that is a number of a figure."""
    return [one for verdict in verdicts for one in verdict.outcomes if one.figure == figure]


def to_json(verdicts: Sequence[Verdict], scale: str, planned: Mapping[str, Any]) -> dict[str, Any]:
    """findings.json.

    schema; scale; counts: word -> number of the paper's claims (open questions and checks of figures are in no count).
    claims.<name> : finding (null: not of the paper), claim, test, verdict, figures, criteria.<name> : says, path,
        value (null: not defined), above, below, is, holds.
    planned.<name> : see `claims.contrasts.to_json`; in no count, and empty for a scale without planned contrasts.
    """
    return {
        "schema": SCHEMA,
        "scale": scale,
        "counts": counts([one for one in verdicts if one.claim.finding]),
        "claims": {
            one.name: {
                "finding": one.claim.finding,
                "claim": one.claim.text,
                "test": one.claim.test,
                "verdict": one.word,
                "figures": one.figures,
                "criteria": {c.name: outcome_json(c) for c in one.outcomes},
            }
            for one in verdicts
            if one.claim.shown_in is None
        },
        "planned": dict(planned),
    }


def outcome_json(one: Outcome) -> dict[str, Any]:
    """What is measured of a criterion, and its bounds."""
    kept = {key: value for key, value in asdict(one).items() if key not in NOT_WRITTEN}
    return {**kept, "is": one.is_, "holds": one.holds}
