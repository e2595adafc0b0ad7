"""How all laws predict schedules that they were not fitted to."""

from typing import Any

from cpt_dynamics.figures.kit.latex import escape, fixed, number, percent
from cpt_dynamics.figures.kit.law_labels import LABELS
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material

PREDICTION = 0.01  # largest mean relative error on the CPT rows of schedules that were not fitted
GAIN = 0.5  # largest such error relative to that of the law without annealing areas
TOLERANCE = 1.5  # the same relative to the law with the lowest error


def claims(material: Material) -> Claims:
    checks: list[Check] = []
    notes: list[str] = []
    for role, found in material.pick("comparison", "sets").items():
        laws = found["laws"]
        error, best = laws["cpt"]["error"], found["best"]
        lowest = laws[best]["error"] if best else None
        checks += [
            Check(
                f"mean relative error of Eq.~\\ref{{eq:law}} on all unseen CPT losses, {SETS[role]}",
                f"error of Eq. 4 on held-out runs on {PLAIN[role]}",
                error,
                upper=PREDICTION,
                show=percent,
            ),
            Check(
                f"the same over that of the law without annealing, {SETS[role]}",
                f"annealing helps to predict held-out runs on {PLAIN[role]}",
                _ratio(error, laws["s1_only"]["error"]),
                upper=GAIN,
                show=lambda value: fixed(value, 3),
            ),
            Check(
                f"the same over the lowest of all laws, {SETS[role]}",
                f"no law predicts held-out runs much better than Eq. 4 on {PLAIN[role]}",
                _ratio(error, lowest),
                upper=TOLERANCE,
                show=lambda value: fixed(value, 2),
            ),
        ]
        notes.append(_note(found, role))
    left_out = material.pick("comparison", "not_applicable")
    notes.append(
        f"{len(left_out)} laws of the kit cannot be fitted to these runs. Why, with the number of laws:"
        f" {_reasons(left_out)}."
    )
    fitted, heldout = (len(material.pick("comparison", key)) for key in ("fitted_runs", "heldout_runs"))
    return Claims(
        f"Every law that can read the runs, fitted to {fitted} of them and tested on the CPT losses of {heldout}"
        " others, without the losses that both share. Dots: over all of these losses; ticks: one run; the star marks"
        " the lowest; in brackets the number of parameters; FSL is the Functional Scaling Law. The dashed line is"
        " the standard deviation of a final loss over seeds, which is what another seed would change"
        " (all runs here have one seed, and what it does to all"
        " of them alike is part of the fit). To see: which parts of a law the prediction needs.",
        "no such comparison of held-out errors; it reports that the forms of its annealing area fit about equally.",
        checks,
        notes,
    )


def _note(found: dict[str, Any], role: str) -> str:
    """Which law is lowest, by how much, and in units of noise."""
    best = found["best"]
    if best is None:
        return f"On {SETS[role]} no held-out run has a loss that no fitted run shares."
    laws = found["laws"]
    text = f"On {SETS[role]} the lowest error is that of {_name(best)} ({percent(laws[best]['error']).latex})"
    if best != "cpt":
        difference = laws[best]["difference"]
        text += f"; Eq.~\\ref{{eq:law}} is rank {laws['cpt']['rank']}"
        if difference["low"] is not None:
            low, high = (number(100 * difference[key], 2).latex for key in ("low", "high"))
            text += ", and the error of the first minus its own, over held-out runs, has the 90\\,\\% interval"
            text += f" {low} to {high} percentage points"
    noise = laws["cpt"]["over_noise"]
    if noise is not None:
        text += f". The error of Eq.~\\ref{{eq:law}} is {number(noise, 2).latex} times the seed noise"
    return f"{text}. The lowest objective on the fitted runs is that of {_name(found['better_fit'])}."


def _name(law: str) -> str:
    return LABELS.get(law, escape(law))


def _reasons(left_out: dict[str, str]) -> str:
    """The laws by their reason."""
    by_reason: dict[str, list[str]] = {}
    for law, reason in left_out.items():
        by_reason.setdefault(reason, []).append(law)
    return "; ".join(f"{escape(reason)} ({len(laws)})" for reason, laws in by_reason.items())


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None
