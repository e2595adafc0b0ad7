"""Figure 8 from printed coefficients: the best loss potential, peak LR and replay ratio against w1 (Eq. 5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics import laws
from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit.printed import sources, weights
from cpt_dynamics.figures.kit.printed.sources import ROLES, Panel, PrintedFigure
from cpt_dynamics.files import plain
from cpt_dynamics.laws import Array, Features, Law
from cpt_dynamics.planning import Coefficients, Pair, Predictor

STRENGTHS = ("strong", "moderate", "weak")
KNOBS = {"a": "potential", "b": "peak_lr"}
RATIOS = {"moderate": 0.0, "replay 33 %": 1 / 3, "replay 50 %": 1 / 2, "weak": 2 / 3}  # of the fits of Figs. 3 and 12
REFERENCES = (1.0, 2.0, 4.0)  # S1cpt at which beta is matched; the figure uses the second
SHIFT_AT = 4.0  # S1cpt at which the shifts of replay ratios are compared
PRINTED, SATURATING, SEPARATE = "printed", "saturating", "separate"


@dataclass(frozen=True)
class Interpolated:
    """Laws fitted at single replay ratios as one law of the feature `replay`.

    Their predictions are interpolated in r_pt (PCHIP, monotone between the ratios). ratios: ascending.
    """

    law: Law
    ratios: tuple[float, ...]
    parts: tuple[Predictor, ...]
    settings: Mapping[str, Any]

    @property
    def parameters(self) -> Mapping[str, float]:
        """Those of all parts, named by their ratio."""
        known = zip(self.ratios, self.parts, strict=True)
        return {f"{name} at {ratio:.2f}": value for ratio, part in known for name, value in part.parameters.items()}

    def predict(self, features: Features) -> Array:
        """The interpolated loss for every row, [n] (nats/token)."""
        from scipy.interpolate import PchipInterpolator  # takes a second to import, so only where it is used

        replay = np.asarray(features["replay"], dtype=np.float64)
        losses = np.array([part.predict(features) for part in self.parts])
        result = np.empty(len(replay))
        for ratio in np.unique(replay):
            rows = replay == ratio
            result[rows] = PchipInterpolator(self.ratios, losses[:, rows])(ratio)
        return result


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Optima by panel, what they depend on, and what they show. The arguments are not read."""
    return optima("printed_fig08", sources.load().figures["fig08"])


def optima(name: str, figure: PrintedFigure) -> dict[str, Any]:
    """The result of the figure for the given settings; `panels` holds what `plots.optima` draws."""
    panels: dict[str, Any] = {key: by_strength(figure, figure.panels[key], knob) for key, knob in KNOBS.items()}
    panels["c"] = by_length(figure, figure.panels["c"])
    checks = [check for key, knob in KNOBS.items() for check in statements(key, knob, panels[key]["curves"])]
    return plain({**sources.head(name, figure), "panels": panels, "checks": [*checks, *replay_statements(panels["c"])]})


def by_strength(figure: PrintedFigure, panel: Panel, knob: str) -> dict[str, Any]:
    """The best value of a knob against w1 for the three shift strengths, and under each alternative at a few w1."""
    pairs = {name: sources.pair(figure.coefficients[name], figure.settings) for name in STRENGTHS}
    found = weights.scans(pairs, panel.setting(), knob, panel.values)
    others = []
    for other in panel.alternatives:
        settings, measure = sources.changed(figure, other.change), other.change.get("measure", "change")
        changed = {name: sources.pair(figure.coefficients[name], settings) for name in STRENGTHS}
        scans = weights.scans(changed, panel.setting(other.change), knob, panel.values)
        best = {key: weights.optima(scan, weights.FEW, measure) for key, scan in scans.items()}
        others.append({"name": other.name, "curves": best})
    return {
        "shows": panel.shows,
        "knob": knob,
        "scanned": [panel.values[0], panel.values[-1]],
        "curves": {key: weights.optima(scan) for key, scan in found.items()},
        "stated_at_few": {key: weights.optima(scan, weights.FEW) for key, scan in found.items()},
        "alternatives": others,
    }


def by_length(figure: PrintedFigure, panel: Panel) -> dict[str, Any]:
    """The best replay ratio against w1 for each form of the law and each length of CPT."""
    s1cpt = REFERENCES[1]
    forms = replay_forms(figure, s1cpt)
    curves: dict[str, dict[str, Any]] = {name: {} for name in forms}
    for count in panel.steps:
        scans = weights.scans(forms, panel.setting().with_knob("steps", count), "replay", panel.values)
        for form, scan in scans.items():
            curves[form][str(count)] = weights.optima(scan)
    return {
        "shows": panel.shows,
        "knob": "replay",
        "scanned": [panel.values[0], panel.values[-1]],
        "forms": FORMS,
        "curves": curves,
        "beta": {
            f"{at:g}": {
                form: {role: matched_beta(figure, role, at, form == SATURATING) for role in ROLES}
                for form in (PRINTED, SATURATING)
            }
            for at in REFERENCES
        },
        "beta_matched_at": s1cpt,
        "sensitivity": {f"{at:g}": _sensitivity(figure, panel, at) for at in REFERENCES},
        "shift_shares": shift_shares(figure),
    }


FORMS = {
    PRINTED: "Eq. 8 as printed",
    SATURATING: "Eq. 8, saturating shift",
    SEPARATE: "separate fits, interpolated",
}


def replay_forms(figure: PrintedFigure, s1cpt: float) -> dict[str, Pair]:
    """Three laws of the replay ratio from printed coefficients (keys as in `FORMS`).

    Eq. 8 with beta matched at `s1cpt` (see `matched_beta`), with its D_cpt shift growing as printed or as that of
    D_pt does; and the separate fits at 0, 33, 50 and 67 % replay, to which 100 % is added as Fig. 3 without shift.
    """
    general = _eq8(figure, "general", "cpt_replay_general", s1cpt)
    return {
        PRINTED: Pair(general, _eq8(figure, "strong", "cpt_replay_domain", s1cpt)),
        SATURATING: Pair(general, _eq8(figure, "strong", "cpt_replay_domain_saturating", s1cpt)),
        SEPARATE: Pair(*(_interpolated(figure, role) for role in ROLES)),
    }


def _eq8(figure: PrintedFigure, role: str, law: str, s1cpt: float) -> Coefficients:
    """Eq. 8 with the coefficients of Fig. 19."""
    beta = matched_beta(figure, role, s1cpt, saturating=law != "cpt_replay_domain")
    return sources.coefficients(figure.coefficients["mixed"], role, figure.settings, law, beta=beta)


def matched_beta(figure: PrintedFigure, role: str, s1cpt: float, saturating: bool) -> float:
    """The beta of Eq. 8, which is not printed, that gives the shift of Fig. 3 at `s1cpt` without replay."""
    known = sources.equation(figure.coefficients["mixed"], role).parameters
    b, e, a2 = (float(known[name] or 0.0) for name in ("B", "E", "a2"))
    growth = -np.expm1(-a2) if saturating or role == "general" else np.expm1(a2)
    wanted = _shift(sources.equation(figure.coefficients["moderate"], role).parameters, s1cpt)
    return float(-np.log1p(-wanted / (b * growth)) / np.log1p(e * s1cpt))


def _shift(parameters: Mapping[str, float | None], s1cpt: float) -> float:
    """The shift term of Eq. 4 (nats/token)."""
    b, e, beta = (float(parameters[name] or 0.0) for name in ("B", "E", "beta"))
    return float(-b * np.expm1(-beta * np.log1p(e * s1cpt)))


def _interpolated(figure: PrintedFigure, role: str) -> Interpolated:
    parts = {
        ratio: sources.coefficients(figure.coefficients[name], role, figure.settings) for name, ratio in RATIOS.items()
    }
    unshifted = parts[0.0]
    parts[1.0] = Coefficients(unshifted.law, {**unshifted.parameters, "B": 0.0}, unshifted.settings)
    return Interpolated(laws.get("cpt_replay_general"), tuple(parts), tuple(parts.values()), figure.settings)


def _sensitivity(figure: PrintedFigure, panel: Panel, s1cpt: float) -> dict[str, Any]:
    """Best replay ratios at a few w1 and the shortest CPT with beta matched elsewhere."""
    forms = replay_forms(figure, s1cpt)
    eq8 = {name: forms[name] for name in (PRINTED, SATURATING)}
    scans = weights.scans(eq8, panel.setting().with_knob("steps", panel.steps[0]), "replay", panel.values)
    return {name: weights.optima(scan, weights.FEW) for name, scan in scans.items()}


def shift_shares(figure: PrintedFigure) -> dict[str, Any]:
    """The D_cpt shift at each replay ratio over that without replay: as fitted separately, and by Eq. 8's forms."""
    fitted = {
        ratio: _shift(sources.equation(figure.coefficients[name], "strong").parameters, SHIFT_AT)
        for name, ratio in RATIOS.items()
    }
    a2 = float(sources.equation(figure.coefficients["mixed"], "strong").parameters["a2"] or 0.0)
    ratios = np.array(list(RATIOS.values()))
    return {
        "s1cpt": SHIFT_AT,
        "replay": ratios,
        SEPARATE: np.array([fitted[ratio] / fitted[0.0] for ratio in ratios]),
        PRINTED: np.expm1(a2 * (1 - ratios)) / np.expm1(a2),
        SATURATING: np.expm1(-a2 * (1 - ratios)) / np.expm1(-a2),
    }


def statements(key: str, knob: str, curves: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What panels (a) and (b) show, as statements about the computed curves."""
    name = {"potential": "loss potential", "peak_lr": "peak LR"}[knob]
    fine = 0.01 * max(float(np.max(found["values"])) for found in curves.values())
    strong, moderate, weak = (curves[strength] for strength in STRENGTHS)
    return [
        sources.check(
            f"({key}) the best {name} never rises with w1", all(weights.never_rises(f, fine) for f in curves.values())
        ),
        sources.check(
            f"({key}) the weaker the shift, the higher the best {name}",
            weights.never_below(weak, moderate, fine) and weights.never_below(moderate, strong, fine),
        ),
        sources.check(
            f"({key}) for every shift strength there are w1 whose best {name} lies inside the range",
            all(bool(np.any(found["interior"])) for found in curves.values()),
        ),
    ]


def replay_statements(panel: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What panel (c) shows, for each form of the law."""
    result = []
    for form, text in panel["forms"].items():
        found = list(panel["curves"][form].values())
        inside = [bool(np.any(curve["interior"])) for curve in found]
        rising = [bool(np.all(np.diff(curve["values"]) >= -0.01)) for curve in found]
        result += [
            sources.check(f"(c) a best replay ratio inside the range exists for some w1: {text}", all(inside)),
            sources.check(f"(c) the best replay ratio never falls with w1: {text}", all(rising)),
        ]
    return result
