"""Figure 8: the best loss potential, peak LR and replay ratio against w1 by fitted laws (arXiv 2505.07796, Eq. 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pandas as pd

from cpt_dynamics import laws
from cpt_dynamics.analysis.printed import fig08 as printed
from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection, strengths
from cpt_dynamics.figures.kit.printed import sources, weights
from cpt_dynamics.files import plain
from cpt_dynamics.planning import Coefficients, Pair, Scan, Scenario
from cpt_dynamics.planning.optimum import Measure

MEASURES: tuple[Measure, ...] = get_args(Measure)
EXCHANGED, PRINTED, SEPARATE = "exchanged", "printed", "separate"
FORMS = {
    EXCHANGED: "Eq. 8, growths exchanged",
    PRINTED: "Eq. 8 as printed",
    SEPARATE: "separate fits, interpolated",
}
RATIOS = ("33", "50", "67")  # replay in % of the separate fits of Fig. 12


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The best value of each knob at every w1; no curve is read.

    `panels` is what `plots.optima` draws: (a) the potential and (b) the peak LR for three strengths of the shift, (c)
    the replay ratio for three laws of it and three lengths of CPT, all by Eq. 5 as printed, whose losses are changes
    from the checkpoint. Beside it, under `final`, the best by the losses at the end of CPT. `interior` counts the
    knobs (of three) whose best value lies inside the scanned range at one weight at least, for any strength or form.
    """
    figure = sources.load().figures["fig08"]
    known, forms = strengths.by_strength(fits, config), replay_forms(fits)
    pairs = {name: one.pair for name, one in known.items()}
    peaks = [value / figure.panels["b"].scenario["peak_lr"] * config.optimizer.peak_lr for value in printed_values("b")]
    start = strengths.scenario(config)
    stays = start.continual.model_copy(update={"peak": "last"})
    panels: dict[str, Any] = {
        "a": by_strength(pairs, replace(start, continual=stays), "potential", printed_values("a")),
        "b": by_strength(pairs, start, "peak_lr", peaks),
        "c": by_length(forms, start, [strengths.scaled(steps, config) for steps in figure.panels["c"].steps]),
    }
    checks = [check for key in "ab" for check in printed.statements(key, panels[key]["knob"], panels[key]["curves"])]
    return plain(
        {
            "figure": "fig08",
            "title": selection.entry(experiments, "fig08").title,
            "validations": {**selection.roles(config), "weak": config.roles.weak},
            "pretraining_steps": start.pretraining_steps,
            "continual_steps": start.continual_steps,
            "laws": {
                **strengths.described(known),
                **{f"replay, {name}": strengths.of_pair(forms[name]) for name in (EXCHANGED, PRINTED)},
            },
            "panels": panels,
            "interior": interior(panels),
            "checks": [*checks, *printed.replay_statements(panels["c"])],
        }
    )


def printed_values(panel: str) -> list[float]:
    """The values that the figure from printed coefficients scans."""
    return sources.load().figures["fig08"].panels[panel].values


def by_strength(pairs: Mapping[str, Pair], scenario: Scenario, knob: str, values: Sequence[float]) -> dict[str, Any]:
    """The best value of a knob against w1 for each strength of the shift."""
    scans = weights.scans(pairs, scenario, knob, values)
    return {"knob": knob, "scanned": [values[0], values[-1]], **_optima(scans)}


def by_length(forms: Mapping[str, Pair], scenario: Scenario, steps: Sequence[int]) -> dict[str, Any]:
    """The best replay ratio against w1 for each law of it and each length of CPT."""
    values = printed_values("c")
    found: dict[str, dict[str, Any]] = {key: {name: {} for name in forms} for key in ("curves", "final")}
    for count in steps:
        scans = weights.scans(forms, scenario.with_knob("steps", count), "replay", values)
        for key, by_form in _optima(scans).items():
            for form, curve in by_form.items():
                found[key][form][str(count)] = curve
    return {"knob": "replay", "scanned": [values[0], values[-1]], "forms": dict(FORMS), **found}


def _optima(scans: Mapping[str, Scan]) -> dict[str, dict[str, Any]]:
    """The best values by the changes of the losses (`curves`) and by the losses at the end (`final`)."""
    return {
        key: {name: weights.optima(scan, measure=measure) for name, scan in scans.items()}
        for key, measure in zip(("curves", "final"), MEASURES, strict=True)
    }


def replay_forms(fits: Mapping[str, Any] | None) -> dict[str, Pair]:
    """Three laws of the replay ratio (keys as in `FORMS`): Eq. 8 in two readings, and separate fits in between."""
    return {
        EXCHANGED: Pair(*(strengths.fit(fits, "fig19", role, EXCHANGED) for role in strengths.ROLES)),
        PRINTED: Pair(*(strengths.fit(fits, "fig19", role, PRINTED) for role in strengths.ROLES)),
        SEPARATE: Pair(*(interpolated(fits, role) for role in strengths.ROLES)),
    }


def interpolated(fits: Mapping[str, Any] | None, role: str) -> printed.Interpolated:
    """The fits without replay (Fig. 3) and at single ratios (Fig. 12); 100 % is that of Fig. 3 without its shift."""
    without = strengths.fit(fits, "fig03", role, "chosen")
    unshifted = Coefficients(without.law, {**without.parameters, "B": 0.0}, without.settings)
    single = [strengths.fit(fits, "fig12", ratio, role) for ratio in RATIOS]
    ratios = (0.0, *(int(ratio) / 100 for ratio in RATIOS), 1.0)
    return printed.Interpolated(laws.get("cpt_replay_general"), ratios, (without, *single, unshifted), without.settings)


def interior(panels: Mapping[str, Any]) -> dict[str, Any]:
    """Where a best value lies inside the scanned range, for Eq. 5 as printed (`change`) and by final losses.

    For each knob and each strength (or form and length): `weights` with such a best value, of `of`, and the `lowest`
    and `highest` of them. `knobs` counts the knobs with any; at the top it is that of Eq. 5 as printed.
    """
    result: dict[str, Any] = {}
    for measure, key in zip(MEASURES, ("curves", "final"), strict=True):
        knobs = {panel["knob"]: _inside(panel[key]) for panel in panels.values()}
        count = sum(any(found["weights"] for found in by_name.values()) for by_name in knobs.values())
        result[measure] = {"knobs": count, **knobs}
    return {"knobs": result["change"]["knobs"], **result}


def _inside(curves: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """For each curve (of a form and a length: "form, steps"), how many weights have an interior best value."""
    flat: dict[str, Any] = {}
    for name, found in curves.items():
        flat.update({name: found} if "interior" in found else {f"{name}, {n} steps": one for n, one in found.items()})
    result = {}
    for name, curve in flat.items():
        inside = np.asarray(curve["interior"], dtype=bool)
        at = np.asarray(curve["weights"])[inside]
        result[name] = {
            "weights": int(inside.sum()),
            "of": len(inside),
            "lowest": round(float(at.min()), 6) if len(at) else None,
            "highest": round(float(at.max()), 6) if len(at) else None,
        }
    return result
