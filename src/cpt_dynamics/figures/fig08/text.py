"""What Figure 8 shows: the best loss potential, peak LR and replay ratio against the weight of the D_pt loss."""

from collections.abc import Mapping
from typing import Any

from cpt_dynamics.figures.kit.latex import Cell, escape, fixed
from cpt_dynamics.reporting.checks import Check, Claims, statement
from cpt_dynamics.reporting.figures.statements import sentence, sources
from cpt_dynamics.reporting.material import Material

FORMS = {
    "exchanged": "Eq. 8 with its growths exchanged",
    "printed": "Eq. 8 as printed",
    "separate": "separate fits",
}
KNOBS = {"potential": "loss potential", "peak_lr": "peak LR", "replay": "replay ratio"}
ENOUGH = 1.5  # knobs with a best value inside the scanned range, as in config/claims.yaml


def claims(material: Material) -> Claims:
    result = material.result("fig08")
    interior = result["interior"]
    checks = [
        Check(
            "knobs (of three) with a best value inside the scanned range for some weight",
            "knobs with a best value inside the scanned range for some weight",
            interior["knobs"],
            ENOUGH,
            show=lambda value: fixed(value, 0),
            printed=Cell("3"),
            wanted=Cell("2 or 3"),
        ),
        *(statement(sentence(check["text"]), check["holds"]) for check in result["checks"]),
    ]
    notes = [sources(result["laws"])]
    notes += [_inside(KNOBS[knob], interior["change"][knob], interior["final"][knob]) for knob in KNOBS]
    steps = result["continual_steps"]
    return Claims(
        r"The value that minimises the weighted goal of Eq.~5 of the paper, $w_1$ times the change of the \Dpt{} loss"
        r" plus $1-w_1$ times that of the \Dcpt{} loss over CPT, by the laws fitted here: WSD pre-training of"
        f" {result['pretraining_steps']:,} steps to 10\\,\\% of its peak, CPT with a cosine of {steps:,} steps to"
        " zero. (a) Loss potential of the checkpoint, without re-warm-up, for three strengths of the shift. (b) Peak"
        " learning rate. (c) Replay ratio for three lengths of CPT, by two readings of Eq.~8 and by separate fits."
        " Dotted in (a): by the losses at the end of CPT instead of their changes. To see: for which weights the best"
        " value is no end of the range, and where it moves.",
        "such curves for three strengths of the shift and three lengths of CPT, with a line of equal distributions;"
        " without numbers.",
        checks,
        notes,
    )


def _inside(name: str, change: Mapping[str, Any], final: Mapping[str, Any]) -> str:
    """For which weights the best value of a knob lies inside the range; forms of a law over all lengths of CPT."""
    parts = []
    for key in dict.fromkeys(key.split(",")[0] for key in change):
        stated, ended = (
            _weights([one for k, one in found.items() if k.split(",")[0] == key]) for found in (change, final)
        )
        parts.append(f"{escape(FORMS.get(key, key))}: {stated} (by final losses: {ended})")
    return f"Weights $w_1$ with a best {name} inside the range: {'; '.join(parts)}."


def _weights(found: list[Any]) -> str:
    """From the lowest to the highest of the weights with an interior best value."""
    inside = [one for one in found if one["weights"]]
    if not inside:
        return "none"
    low, high = min(one["lowest"] for one in inside), max(one["highest"] for one in inside)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
