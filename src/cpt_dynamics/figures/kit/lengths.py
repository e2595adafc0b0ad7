"""Final losses against a hyper-parameter of CPT for several lengths of it (Figs. 5 and 7)."""

from collections.abc import Sequence

import numpy as np

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.result import Part
from cpt_dynamics.planning import Pair, Scenario
from cpt_dynamics.planning.optimum import scan

ROLES = {Role.GENERAL: "general", Role.STRONG: "domain"}  # as figures and as `Pair` call the two losses


class At(Part):
    """A value of the hyper-parameter and the loss there (nats/token)."""

    value: float
    loss: float


class Length(Part):
    """Losses at the end of CPT of one length. values: [k] of the hyper-parameter. loss: [k] (nats/token)."""

    steps: int
    values: list[float]
    loss: dict[Role, list[float]]
    best: dict[Role, At]
    worst: dict[Role, At]


def finals(pair: Pair, scenario: Scenario, knob: str, steps: Sequence[int], values: Sequence[float]) -> list[Length]:
    """Losses at the end of CPT for every length (`steps`) and every value of a knob (see `Scenario.with_knob`)."""
    result = []
    for count in steps:
        found = scan(pair, scenario.with_knob("steps", count), knob, values)
        x, loss = found.values, {role: found.after[name] for role, name in ROLES.items()}
        best, worst = (
            {role: At(value=float(x[pick(y)]), loss=float(y[pick(y)])) for role, y in loss.items()}
            for pick in (np.argmin, np.argmax)
        )
        losses = {role: y.tolist() for role, y in loss.items()}
        result.append(Length(steps=count, values=x.tolist(), loss=losses, best=best, worst=worst))
    return result


def span(lengths: Sequence[Length], role: Role) -> tuple[float, float]:
    """Lowest and highest of all losses of a role."""
    losses = [loss for length in lengths for loss in length.loss[role]]
    return min(losses), max(losses)


def falls(lengths: Sequence[Length], role: Role) -> bool:
    """Whether the loss falls with every step of the knob, at every length."""
    return all(bool(np.all(np.diff(length.loss[role]) < 0)) for length in lengths)


def lower_when_longer(lengths: Sequence[Length], role: Role) -> bool:
    """Whether a longer CPT ends lower at every value of the knob."""
    return bool(np.all(np.diff([length.loss[role] for length in lengths], axis=0) < 0))


def best_at(lengths: Sequence[Length], role: Role, value: float) -> bool:
    """Whether the loss is lowest at this value of the knob, at every length."""
    return all(length.best[role].value == value for length in lengths)
