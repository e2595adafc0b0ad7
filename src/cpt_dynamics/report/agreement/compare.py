"""Coefficients, errors and verdicts of one scale beside those of others that are released."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
from pydantic import Field, ValidationError

from cpt_dynamics.claims import Word
from cpt_dynamics.config import Role, explain
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit.joint import SETS
from cpt_dynamics.figures.kit.result import Part
from cpt_dynamics.files import read_json
from cpt_dynamics.report.agreement.results import FITS, ComparedFit, ScaleResults, Setting, StoredVerdict

EXPONENTS = ("alpha", "beta")  # the coefficients of Eq. 4 without a unit, which scales may share
Scales = Mapping[str, ScaleResults]


class Compared(Part):
    """A claim at every scale that has it."""

    finding: int | None
    claim: str
    verdicts: dict[str, Word] = Field(description="by scale")
    same: dict[str, bool | None] = Field(
        description="by other scale: whether its verdict is this scale's; null where one of them does not test the"
        " claim, or tests it by other criteria"
    )


class Counts(Part):
    """How often another scale agrees."""

    compared: int = Field(description="claims of the paper")
    same: int
    differ: int
    not_compared: int
    exponents: int = Field(description="those with an interval at both scales")
    overlapping: int


class ScaleEntry(Part):
    kit: str
    setting: Setting


class Agreement(Part):
    """agreement.json: `scale` and the others that it is compared with."""

    schema_: str = "cpt-dynamics/agreement/2"
    scale: str
    scales: dict[str, ScaleEntry]
    fits: dict[str, dict[Role, dict[str, ComparedFit]]] = Field(description="by law, validation set and scale")
    exponents: dict[Role, dict[str, dict[str, bool | None]]] = Field(
        description="by other scale: whether the 90 % intervals over seeds overlap; null where one of them has none"
    )
    verdicts: dict[str, Compared]
    counts: dict[str, Counts] = Field(description="by other scale")


def read_agreement(path: Path) -> Agreement:
    """Read agreement.json."""
    try:
        return Agreement.model_validate(read_json(path))
    except ValidationError as error:
        raise UserError(f"{explain(error.errors()[0], str(path))} (make it again: `snakemake {path}`)") from None


def agreement(scale: str, results: Scales) -> Agreement:
    """results: by scale; `scale` is the one that the others are compared with."""
    known = {scale: results[scale], **{name: one for name, one in results.items() if name != scale}}
    others = [name for name in known if name != scale]
    verdicts = {name: _compared(name, known, scale, others) for name in known[scale].findings}
    exponents = {
        role: {
            name: {other: _overlap(known[scale], known[other], role, name) for other in others} for name in EXPONENTS
        }
        for role in SETS
    }
    return Agreement(
        scale=scale,
        scales={name: ScaleEntry(kit=one.kit, setting=one.setting) for name, one in known.items()},
        fits={
            law: {role: by_scale for role in SETS if (by_scale := _fits(known, law, role))}
            for law in FITS
            if any(law in one.fits for one in known.values())
        },
        exponents=exponents,
        verdicts=verdicts,
        counts={other: _counts(verdicts, exponents, other) for other in others},
    )


def _of(one: ScaleResults, law: str, role: Role) -> ComparedFit | None:
    return one.fits[law].get(role) if law in one.fits else None


def _fits(known: Scales, law: str, role: Role) -> dict[str, ComparedFit]:
    found = {name: _of(one, law, role) for name, one in known.items()}
    return {name: fit for name, fit in found.items() if fit}


def _overlap(one: ScaleResults, other: ScaleResults, role: Role, name: str) -> bool | None:
    fits = [_of(each, "eq4", role) for each in (one, other)]
    first, second = (fit.intervals.get(name) if fit else None for fit in fits)
    if first is None or second is None:
        return None
    return first.low <= second.high and second.low <= first.high


def _compared(name: str, known: Scales, scale: str, others: list[str]) -> Compared:
    mine = known[scale].findings[name]
    by_scale = {each: one.findings[name] for each, one in known.items() if name in one.findings}
    return Compared(
        finding=mine.finding,
        claim=mine.claim,
        verdicts={each: one.verdict for each, one in by_scale.items()},
        same={other: _same(mine, by_scale.get(other)) for other in others},
    )


def _same(mine: StoredVerdict, theirs: StoredVerdict | None) -> bool | None:
    if theirs is None or _tests(mine) != _tests(theirs) or "not testable" in (mine.verdict, theirs.verdict):
        return None
    return mine.verdict == theirs.verdict


def _tests(one: StoredVerdict) -> dict[str, tuple[object, ...]]:
    """What decides a claim: the numbers by their paths, and their bounds."""
    return {name: (c.path, c.above, c.below, c.is_) for name, c in one.criteria.items()}


def _counts(
    verdicts: Mapping[str, Compared], exponents: Mapping[Role, Mapping[str, Mapping[str, bool | None]]], other: str
) -> Counts:
    same = [one.same[other] for one in verdicts.values() if one.finding is not None]
    overlap = [one[other] for named in exponents.values() for one in named.values() if one[other] is not None]
    return Counts(
        compared=len(same) - same.count(None),
        same=same.count(True),
        differ=same.count(False),
        not_compared=same.count(None),
        exponents=len(overlap),
        overlapping=overlap.count(True),
    )


Row = tuple[str, str, str, str, str, float | str | None, float | None, float | None]
COLUMNS = ("part", "law", "set", "name", "scale", "value", "low", "high")


def table(found: Agreement) -> pd.DataFrame:
    """agreement.csv: one row a number or verdict and scale.

    part (coefficient, combination, term, quality, heldout or verdict), law, set (general or strong), name, scale,
    value, low and high (of the interval over seeds).
    """
    return pd.DataFrame([*_numbers(found), *_words(found)], columns=list(COLUMNS))


def _numbers(found: Agreement) -> Iterator[Row]:
    for law, roles in found.fits.items():
        for role, by_scale in roles.items():
            for scale, fit in by_scale.items():
                parts = {"coefficient": fit.parameters, "combination": fit.combinations, "term": fit.terms}
                for part, values in parts.items():
                    for name, value in values.items():
                        ends = fit.intervals.get(name) if part != "term" else None
                        low, high = (ends.low, ends.high) if ends else (None, None)
                        yield part, law, role, name, scale, value, low, high
                quality = {"r2": fit.r2, "r2_cpt": fit.r2_cpt, "mean_relative_error_cpt": fit.mean_relative_error_cpt}
                yield from (("quality", law, role, name, scale, v, None, None) for name, v in quality.items())
                if fit.heldout:
                    for name, value in fit.heldout:
                        if name != "left_out" and value is not None:
                            yield "heldout", law, role, name, scale, value, None, None


def _words(found: Agreement) -> Iterator[Row]:
    for claim, one in found.verdicts.items():
        for scale, verdict in one.verdicts.items():
            yield "verdict", "", "", claim, scale, verdict, None, None
