"""How far scales agree: coefficients, errors and verdicts of one beside those of others that are released."""

from collections.abc import Iterator, Mapping
from typing import Any

from cpt_dynamics.analysis.scale_results import FITS, within
from cpt_dynamics.figures.kit.joint import SETS

SCHEMA = "cpt-dynamics/agreement/1"
UNTESTED = "not testable at this scale"
EXPONENTS = ("alpha", "beta")  # the coefficients of Eq. 4 without a unit, which scales may share
Results = Mapping[str, Any]


def agreement(scale: str, results: Mapping[str, Results]) -> dict[str, Any]:
    """results: scale -> its results (see `scale_results`); `scale` is the one that the others are compared with.

    schema; scale; scales.<scale> : kit and setting.
    fits.<law>.<role>.<scale> : as in the results.
    exponents.<role>.<coefficient>.<other> : whether the 90 % intervals over seeds of a coefficient of Eq. 4 without a
        unit overlap; null where one of the scales has none.
    verdicts.<claim> : finding, claim, verdict by scale (`verdicts`), and `same` by other scale: whether it is that of
        `scale`; null where one of them does not test the claim, or tests it by other criteria.
    counts.<other> : the paper's claims that are compared, same and differ; not_compared; exponents that have an
        interval at both, and those of them that overlap.
    """
    known = {scale: results[scale], **{name: one for name, one in results.items() if name != scale}}
    others = [name for name in known if name != scale]
    verdicts = _verdicts(known, scale, others)
    exponents = {role: _exponents(known, scale, others, role) for role in SETS}
    return {
        "schema": SCHEMA,
        "scale": scale,
        "scales": {name: {"kit": one["kit"], "setting": one["setting"]} for name, one in known.items()},
        "fits": {
            law: {role: by_scale for role in SETS if (by_scale := _fits(known, law, role))}
            for law in FITS
            if any(law in one["fits"] for one in known.values())
        },
        "exponents": exponents,
        "verdicts": verdicts,
        "counts": {other: _counts(verdicts, exponents, other) for other in others},
    }


def _fits(known: Mapping[str, Results], law: str, role: str) -> dict[str, Any]:
    found = {name: within(one["fits"], law, role) for name, one in known.items()}
    return {name: fit for name, fit in found.items() if fit}


def _exponents(known: Mapping[str, Results], scale: str, others: list[str], role: str) -> dict[str, Any]:
    mine = known[scale]
    return {name: {other: _overlap(mine, known[other], role, name) for other in others} for name in EXPONENTS}


def _overlap(one: Results, other: Results, role: str, name: str) -> bool | None:
    first, second = (within(each["fits"], "eq4", role, "intervals", name) for each in (one, other))
    if first is None or second is None:
        return None
    return bool(first["low"] <= second["high"] and second["low"] <= first["high"])


def _verdicts(known: Mapping[str, Results], scale: str, others: list[str]) -> dict[str, Any]:
    """The claims of `scale`, each with the verdict of every scale that has it."""
    found = {}
    for name, mine in known[scale]["findings"].items():
        by_scale = {each: one["findings"][name] for each, one in known.items() if name in one["findings"]}
        found[name] = {
            "finding": mine["finding"],
            "claim": mine["claim"],
            "verdicts": {each: one["verdict"] for each, one in by_scale.items()},
            "same": {other: _same(mine, by_scale.get(other)) for other in others},
        }
    return found


def _same(mine: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> bool | None:
    if theirs is None or _tests(mine) != _tests(theirs) or UNTESTED in (mine["verdict"], theirs["verdict"]):
        return None
    return bool(mine["verdict"] == theirs["verdict"])


def _tests(one: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a claim: the numbers by their paths, and their bounds."""
    return {name: [c["path"], c["above"], c["below"]] for name, c in one["criteria"].items()}


def _counts(verdicts: Mapping[str, Any], exponents: Mapping[str, Any], other: str) -> dict[str, int]:
    same = [one["same"][other] for one in verdicts.values() if one["finding"] is not None]
    overlap = [one[other] for named in exponents.values() for one in named.values() if one[other] is not None]
    return {
        "compared": len(same) - same.count(None),
        "same": same.count(True),
        "differ": same.count(False),
        "not_compared": same.count(None),
        "exponents": len(overlap),
        "overlapping": sum(overlap),
    }


def table(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """agreement.csv: one row a number or verdict and scale.

    part (coefficient, combination, term, quality, heldout or verdict), law, set (general or strong), name, scale,
    value, low and high (of the interval over seeds).
    """
    return [dict(zip(COLUMNS, row, strict=True)) for row in [*_numbers(found), *_words(found)]]


COLUMNS = ("part", "law", "set", "name", "scale", "value", "low", "high")
PARTS = {"parameters": "coefficient", "combinations": "combination", "terms": "term"}
QUALITY = ("r2", "r2_cpt", "mean_relative_error_cpt")
Row = tuple[Any, ...]


def _numbers(found: Mapping[str, Any]) -> Iterator[Row]:
    for law, roles in found["fits"].items():
        for role, by_scale in roles.items():
            for scale, fit in by_scale.items():
                for key, part in PARTS.items():
                    intervals = fit["intervals"] if part != "term" else {}
                    for name, value in fit[key].items():
                        ends = intervals.get(name, {})
                        yield part, law, role, name, scale, value, ends.get("low"), ends.get("high")
                yield from (("quality", law, role, name, scale, fit[name], None, None) for name in QUALITY)
                for name, value in (fit["heldout"] or {}).items():
                    if name != "left_out":
                        yield "heldout", law, role, name, scale, value, None, None


def _words(found: Mapping[str, Any]) -> Iterator[Row]:
    for claim, one in found["verdicts"].items():
        for scale, verdict in one["verdicts"].items():
            yield "verdict", "", "", claim, scale, verdict, None, None
