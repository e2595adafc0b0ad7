"""The words about the comparison of all laws."""

from collections import Counter

from cpt_dynamics.config import Role
from cpt_dynamics.figures.comparison.result import LawsOfSet, Result
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.latex import escape, number, percent
from cpt_dynamics.figures.kit.law_labels import LABELS
from cpt_dynamics.figures.kit.text import SETS, Text


def text(data: FigureData, result: Result) -> Text:
    left_out = result.not_applicable
    reasons = "; ".join(f"{escape(reason)} ({laws})" for reason, laws in Counter(left_out.values()).items())
    return Text(
        f"Every law that can read the runs, fitted to {len(result.fitted_runs)} of them and tested on the CPT losses of"
        f" {len(result.heldout_runs)}"
        " others, without the losses that both share. Dots: over all of these losses; ticks: one run; the star marks"
        " the lowest; in brackets the number of parameters; FSL is the Functional Scaling Law. The dashed line is"
        " the standard deviation of a final loss over seeds, which is what another seed would change"
        " (all runs here have one seed, and what it does to all"
        " of them alike is part of the fit). To see: which parts of a law the prediction needs.",
        "no such comparison of held-out errors; it reports that the forms of its annealing area fit about equally.",
        [
            *(_note(found, role) for role, found in result.sets.items()),
            f"{len(left_out)} laws of the kit cannot be fitted to these runs. Why, with the number of laws: {reasons}.",
        ],
    )


def _note(found: LawsOfSet, role: Role) -> str:
    """Which law is lowest, by how much, and in units of noise."""
    if found.best is None:
        return f"On {SETS[role]} no held-out run has a loss that no fitted run shares."
    best, law = found.laws[found.best], found.laws["cpt"]
    text = f"On {SETS[role]} the lowest error is that of {_name(found.best)} ({percent(best.error).latex})"
    if best is not law:
        text += f"; Eq.~\\ref{{eq:law}} is rank {law.rank}"
    if best.difference is not None and best.difference.low is not None and best.difference.high is not None:
        low, high = (number(100 * end, 2).latex for end in (best.difference.low, best.difference.high))
        text += ", and the error of the first minus its own, over held-out runs, has the 90\\,\\% interval"
        text += f" {low} to {high} percentage points"
    if law.over_noise is not None:
        text += f". The error of Eq.~\\ref{{eq:law}} is {number(law.over_noise, 2).latex} times the seed noise"
    return f"{text}. The lowest objective on the fitted runs is that of {_name(found.better_fit)}."


def _name(law: str) -> str:
    return LABELS.get(law, escape(law))
