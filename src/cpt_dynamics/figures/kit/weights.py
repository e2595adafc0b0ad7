"""The best value of a hyper-parameter of CPT against the weight w1 of the D_pt loss (Eq. 5, Fig. 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from cpt_dynamics import laws
from cpt_dynamics.figures.kit.result import Part
from cpt_dynamics.figures.kit.statement import Statement, statement
from cpt_dynamics.laws import Array, Features, Law
from cpt_dynamics.planning import Coefficients, Pair, Predictor, Scan, Scenario
from cpt_dynamics.planning.optimum import Measure
from cpt_dynamics.planning.scenario import ROLES

WEIGHTS = np.linspace(0, 1, 101)
STRENGTHS = ("strong", "moderate", "weak")  # of the shift
NAMES = {"potential": "loss potential", "peak_lr": "peak LR"}


class Optima(Part):
    """The best value at every w1. All are [weights]."""

    weights: list[float]
    values: list[float]
    interior: list[bool] = Field(description="whether it lies inside the scanned range")


class KnobPanel(Part):
    """The best value of a hyper-parameter for each strength of the shift."""

    knob: str
    scanned: tuple[float, float]
    curves: dict[str, Optima]


class ReplayPanel(Part):
    """The best replay ratio for each law of it and each length of CPT (steps)."""

    knob: str
    scanned: tuple[float, float]
    forms: dict[str, str] = Field(description="what each law is called")
    curves: dict[str, dict[str, Optima]] = Field(description="by law and length")


@dataclass(frozen=True)
class Interpolated:
    """Laws fitted at single replay ratios as one law of the feature `replay`.

    Their predictions are interpolated in r_pt (PCHIP, monotone between the ratios). parts: by ratio, ascending.
    """

    law: Law
    parts: Mapping[float, Predictor]
    settings: Mapping[str, object]

    @property
    def parameters(self) -> Mapping[str, float]:
        """Those of all parts, named by their ratio."""
        known = self.parts.items()
        return {f"{name} at {ratio:.2f}": value for ratio, part in known for name, value in part.parameters.items()}

    def predict(self, features: Features) -> Array:
        """The interpolated loss for every row, [n] (nats/token)."""
        from scipy.interpolate import PchipInterpolator  # takes a second to import, so only where it is used

        replay = np.asarray(features["replay"], dtype=np.float64)
        losses = np.array([part.predict(features) for part in self.parts.values()])
        result = np.empty(len(replay))
        for ratio in np.unique(replay):
            rows = replay == ratio
            result[rows] = PchipInterpolator(list(self.parts), losses[:, rows])(ratio)
        return result


def interpolated(parts: Mapping[float, Predictor]) -> Interpolated:
    """A law of the replay ratio between laws at single ratios; at 100 % it is the law at 0 without its shift."""
    without = parts[0.0]
    unshifted = Coefficients(without.law, {**without.parameters, "B": 0.0}, without.settings)
    return Interpolated(laws.get("cpt_replay_general"), {**parts, 1.0: unshifted}, without.settings)


def scans(pairs: Mapping[str, Pair], scenario: Scenario, knob: str, values: Sequence[float]) -> dict[str, Scan]:
    """`planning.scan` for several pairs of laws, which share the areas of every schedule. values: ascending."""
    named = {f"{name}/{role}": law for name, pair in pairs.items() for role, law in pair.roles().items()}
    outcomes = [scenario.with_knob(knob, value).outcome(named) for value in values]
    result = {}
    for name in pairs:
        before, after = (
            {role: np.array([outcome[f"{name}/{role}"][end] for outcome in outcomes]) for role in ROLES}
            for end in (0, 1)
        )
        result[name] = Scan(knob, np.asarray(values, dtype=np.float64), before, after)
    return result


def optima(
    scans: Mapping[str, Scan], weights: Sequence[float] | Array = WEIGHTS, measure: Measure = "change"
) -> dict[str, Optima]:
    """The best value at every weight w1 of the D_pt loss, for every scan."""
    result = {}
    for name, scan in scans.items():
        best = [scan.best(float(weight), measure) for weight in weights]
        result[name] = Optima(
            weights=list(weights), values=[one.value for one in best], interior=[one.interior for one in best]
        )
    return result


def replay_scans(
    forms: Mapping[str, Pair], scenario: Scenario, steps: Sequence[int], ratios: Sequence[float]
) -> dict[str, dict[str, Scan]]:
    """`scans` of the replay ratio, by form of the law and by length of CPT."""
    by_length = {str(count): scans(forms, scenario.with_knob("steps", count), "replay", ratios) for count in steps}
    return {form: {count: found[form] for count, found in by_length.items()} for form in forms}


def knob_statements(key: str, panel: KnobPanel) -> list[Statement]:
    """What panels (a) and (b) show, as statements about the computed curves. key: the panel's letter."""
    name, curves = NAMES[panel.knob], panel.curves
    fine = 0.01 * max(max(curve.values) for curve in curves.values())  # the tolerance of the refinement
    strong, moderate, weak = (np.array(curves[strength].values) for strength in STRENGTHS)
    return [
        statement(
            f"({key}) the best {name} never rises with w1",
            all(np.all(np.diff(curve.values) <= fine) for curve in curves.values()),
        ),
        statement(
            f"({key}) the weaker the shift, the higher the best {name}",
            np.all(weak >= moderate - fine) and np.all(moderate >= strong - fine),
        ),
        statement(
            f"({key}) for every shift strength there are w1 whose best {name} lies inside the range",
            all(any(curve.interior) for curve in curves.values()),
        ),
    ]


def replay_statements(panel: ReplayPanel) -> list[Statement]:
    """What panel (c) shows, for each form of the law."""
    result = []
    for form, text in panel.forms.items():
        found = panel.curves[form].values()
        result += [
            statement(
                f"(c) a best replay ratio inside the range exists for some w1: {text}",
                all(any(curve.interior) for curve in found),
            ),
            statement(
                f"(c) the best replay ratio never falls with w1: {text}",
                all(np.all(np.diff(curve.values) >= -0.01) for curve in found),
            ),
        ]
    return result
