"""The turning length of the weighted goal against the weight w1 of the D_pt loss (Fig. 13)."""

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from cpt_dynamics.figures.kit.result import Part
from cpt_dynamics.figures.kit.statement import Statement, statement
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import Pair, Scenario, critical_point, turning_lengths

WEIGHTS = np.linspace(0, 1, 201)


class Limits(Part):
    """Where turning lengths begin and end; None where there is no such w1."""

    at_once: float | None = Field(description="highest w1 whose goal never rises")
    finite: float | None = Field(description="highest w1 with a turning length")
    never: float | None = Field(description="lowest w1 that has none at any length")


class TurningCurve(Limits):
    """The turning length at every w1, each [weights]."""

    weights: list[float]
    steps: list[float | None] = Field(description="0 where the goal never rises, None where it is not back")
    infinite: list[bool] = Field(description="whether the law says that it never is")
    critical_point: float = Field(description="D_pt loss (nats/token)")
    start: float = Field(description="D_pt loss at the start of CPT (nats/token)")


def against_weight(
    pair: Pair, scenario: Scenario, max_steps: int, weights: Sequence[float] | Array = WEIGHTS
) -> TurningCurve:
    """Turning lengths of up to `max_steps` at every w1."""
    at = [float(weight) for weight in weights]
    lengths = turning_lengths(pair, scenario, max_steps, at)
    known = [(weight, length.steps) for weight, length in zip(at, lengths, strict=True) if length.steps is not None]
    infinite = [length.infinite for length in lengths]
    return TurningCurve(
        weights=at,
        steps=[length.steps for length in lengths],
        infinite=infinite,
        at_once=max((weight for weight, steps in known if steps == 0), default=None),
        finite=max((weight for weight, _ in known), default=None),
        never=min((weight for weight, endless in zip(at, infinite, strict=True) if endless), default=None),
        critical_point=critical_point(pair.general),
        start=scenario.ends(pair.general)[0],
    )


def statements(curves: Mapping[str, TurningCurve]) -> list[Statement]:
    """What the figure shows, as statements about the computed curves of the strengths of the shift."""
    rising = [np.all(np.diff([s for s in curve.steps if s is not None]) >= 0) for curve in curves.values()]
    limits = [-1.0 if (finite := curves[name].finite) is None else finite for name in ("strong", "moderate", "weak")]
    return [
        statement("the turning length never falls with w1", all(rising)),
        statement(
            "the weaker the shift, the larger the weights with a finite turning length", limits == sorted(limits)
        ),
        statement("with a strong shift the turning length is infinite at large w1", curves["strong"].infinite[-1]),
        statement("with a weak shift it is finite even for D_pt alone", curves["weak"].steps[-1] is not None),
    ]
