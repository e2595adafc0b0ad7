"""Final losses against a hyper-parameter of CPT for several lengths of it, and how they lie to printed ranges."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.figures.kit.printed.sources import ROLES, Panel, PrintedFigure
from cpt_dynamics.planning import Pair, Scenario
from cpt_dynamics.planning.optimum import scan

Lengths = list[dict[str, Any]]
COARSE = 4  # values of the knob that alternatives are computed at


def finals(pair: Pair, scenario: Scenario, knob: str, steps: Sequence[int], values: Sequence[float]) -> Lengths:
    """Losses at the end of CPT for every length and every value of a knob.

    steps: lengths of CPT. values: [k], see `Scenario.with_knob`. For each length: `steps`, `values`, `loss` by role
    ("general": D_pt, "strong": D_cpt), each [k] (nats/token), and by role the `value` and the `loss` of the lowest
    (`best`) and of the highest (`worst`).
    """
    result = []
    for count in steps:
        found = scan(pair, scenario.with_knob("steps", count), knob, values)
        loss = {role: found.after[name] for role, name in ROLES.items()}
        ends = {
            name: {role: {"value": float(found.values[pick(y)]), "loss": float(y[pick(y)])} for role, y in loss.items()}
            for name, pick in (("best", np.argmin), ("worst", np.argmax))
        }
        result.append({"steps": int(count), "values": found.values, "loss": loss, **ends})
    return result


def span(lengths: Lengths, role: str) -> tuple[float, float]:
    """Lowest and highest of all losses of a role."""
    losses = np.concatenate([length["loss"][role] for length in lengths])
    return float(losses.min()), float(losses.max())


def alternatives(figure: PrintedFigure, panel: Panel, knob: str, roles: Mapping[str, sources.Range]) -> list[Any]:
    """The ranges under each alternative of a panel, set against the printed ones.

    roles: printed range by role. Computed at the shortest and the longest CPT and at a few values of the knob.
    """
    (source,) = figure.coefficients.values()
    values = [panel.values[round(i)] for i in np.linspace(0, len(panel.values) - 1, COARSE)]
    result = []
    for other in panel.alternatives:
        pair = sources.pair(source, sources.changed(figure, other.change))
        lengths = finals(pair, panel.setting(other.change), knob, [panel.steps[0], panel.steps[-1]], values)
        ranges = {
            role: sources.compare(printed, span(lengths, role), sources.load().rule) for role, printed in roles.items()
        }
        result.append({"name": other.name, "ranges": ranges})
    return result


def falls(lengths: Lengths, role: str) -> bool:
    """Whether the loss falls with every step of the knob, at every length."""
    return all(bool(np.all(np.diff(length["loss"][role]) < 0)) for length in lengths)


def lower_when_longer(lengths: Lengths, role: str) -> bool:
    """Whether a longer CPT ends lower at every value of the knob."""
    return bool(np.all(np.diff([length["loss"][role] for length in lengths], axis=0) < 0))
