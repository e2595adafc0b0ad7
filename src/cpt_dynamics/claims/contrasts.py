"""A verdict on every planned contrast: from its interval and its margin, on each loss, and the worst of these."""

from collections.abc import Mapping
from typing import Any

from cpt_dynamics.claims.file import Claims, Planned
from cpt_dynamics.claims.verdicts import Word
from cpt_dynamics.figures.contrasts.result import Contrast, Decision, Effect, Judged, Numbers, Result
from cpt_dynamics.figures.kit.result import FigureResult

FIGURE = Result.FIGURE
WORST_FIRST = ("contradicted", "inconclusive", "supported")
NOT_MADE = "nothing measures it"


def of_scale(stated: Claims, scale: str) -> dict[str, Planned]:
    """The planned contrasts of a scale, by the name of the function that measures them."""
    return {
        name.removeprefix(f"{scale}_"): planned for name, planned in stated.planned.items() if planned.scale == scale
    }


def decisions(stated: Claims, scale: str, found: Result | None) -> dict[str, Decision]:
    """A decision on every planned contrast of a scale; found: None where nothing is measured."""
    return {name: decide(planned, measured(name, found)) for name, planned in of_scale(stated, scale).items()}


def measured(name: str, found: Result | None) -> Contrast:
    """A contrast as measured."""
    return (found.contrasts if found else {}).get(name) or Contrast(reason=NOT_MADE)


def decide(planned: Planned, found: Contrast) -> Decision:
    """The decision on a contrast.

    Nothing is decided while a run is missing, so that nobody stops where the word is the wanted one; what is measured
    so far is given with its interval all the same.
    """
    losses = {loss: _judged(planned, effect, loss, found.rivals) for loss, effect in found.losses.items()}
    words = [one.word for one in losses.values()]
    undecided = bool(found.missing or found.reason or not words or "not testable" in words)
    return Decision(
        text=planned.text,
        unit=planned.unit,
        expects=planned.expects,
        margin=planned.margin,
        margin_in=planned.margin_in,
        level=planned.level,
        word="not testable" if undecided else min(words, key=WORST_FIRST.index),
        losses=losses,
    )


def _judged(planned: Planned, effect: Effect, loss: str, rivals: Mapping[str, Numbers]) -> Judged:
    low, high = _interval(effect, planned.level)
    name = best_rival(planned, {rival: one[loss] for rival, one in rivals.items() if loss in one})
    return Judged(
        low=low,
        high=high,
        word=_word(planned, effect, low, high),
        rival=name,
        rival_effect=None if name is None else rivals[name][loss],
    )


def _interval(effect: Effect, level: float | None) -> tuple[float | None, float | None]:
    """The interval by Student's t that covers 1 minus `level`; None twice without a level or a standard error."""
    if level is None or effect.standard_error is None or effect.freedom is None:
        return None, None
    from scipy.stats import t  # takes a second to import, so only where it is used

    half = float(t.ppf(1 - level / 2, effect.freedom)) * effect.standard_error
    return effect.estimate - half, effect.estimate + half


def _word(planned: Planned, effect: Effect, low: float | None, high: float | None) -> Word:
    """What one loss says; a number without a level is an interval of no width, and an end on the margin spans it."""
    if planned.level is None:
        low = high = effect.estimate
    if low is None or high is None:
        return "not testable"
    lowest = planned.contradicted_below
    if lowest is not None and min(effect.units.values()) < lowest:
        return "contradicted"
    margin = planned.margin
    if planned.expects == "within":
        inside, outside = -margin < low and high < margin, low > margin or high < -margin
    else:
        below, above = high < margin, low > margin
        inside, outside = (below, above) if planned.expects == "below" else (above, below)
    return "supported" if inside else "contradicted" if outside else "inconclusive"


def best_rival(planned: Planned, effects: Mapping[str, float]) -> str | None:
    """The rival that does most of what is claimed: the lowest, the highest, or that nearest to 0 for `within`."""
    sizes = {"below": 1.0, "above": -1.0}
    if not effects:
        return None
    if planned.expects == "within":
        return min(effects, key=lambda rival: abs(effects[rival]))
    return min(effects, key=lambda rival: sizes[planned.expects] * effects[rival])


def decided(result: FigureResult, stated: Claims, scale: str) -> FigureResult:
    """A result of the figure `contrasts` with its decisions, for drawing; that of another figure as it is."""
    if not isinstance(result, Result):
        return result
    return result.model_copy(update={"decisions": decisions(stated, scale, result)})


def to_json(stated: Claims, scale: str, found: Result | None) -> dict[str, Any]:
    """`planned` of findings.json: contrast -> what was planned, measured and decided.

    claim, contrast, effect, unit, expects, margin, margin_in, level: as in claims.yaml. verdict. losses.<loss> :
    estimate, low, high (null without an interval), units, verdict. rivals, beside: name -> loss -> number.
    missing: runs. reason: why it is not testable although all are there.
    """
    made = decisions(stated, scale, found)
    return {
        f"{scale}_{name}": {
            "claim": planned.text,
            "contrast": planned.contrast,
            "effect": planned.effect,
            **planned.model_dump(include={"unit", "expects", "margin", "margin_in", "level"}),
            "verdict": made[name].word,
            "losses": {
                loss: {
                    "estimate": effect.estimate,
                    "low": made[name].losses[loss].low,
                    "high": made[name].losses[loss].high,
                    "units": effect.units,
                    "verdict": made[name].losses[loss].word,
                }
                for loss, effect in measured(name, found).losses.items()
            },
            "rivals": measured(name, found).rivals,
            "beside": measured(name, found).beside,
            "missing": measured(name, found).missing,
            "reason": measured(name, found).reason,
        }
        for name, planned in of_scale(stated, scale).items()
    }
