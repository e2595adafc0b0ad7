"""What Figure 13 shows: the turning length of the weighted goal."""

from collections.abc import Mapping
from typing import Any

from cpt_dynamics.figures.kit.latex import fixed
from cpt_dynamics.reporting.checks import Claims, statement
from cpt_dynamics.reporting.figures.statements import sentence, sources
from cpt_dynamics.reporting.material import Material


def claims(material: Material) -> Claims:
    result = material.result("fig13")
    checks = [statement(sentence(check["text"]), check["holds"]) for check in result["checks"]]
    notes = [sources(result["laws"])]
    for strength, curve in result["curves"].items():
        notes.append(f"{strength.capitalize()} shift: {sentence(result['infinite'][strength]).latex}; {_start(curve)}.")
    return Claims(
        "The fewest steps of CPT after which the goal, $w_1$ times the \\Dpt{} loss plus $1-w_1$ times the \\Dcpt{}"
        " loss, is back at its value before CPT, by the laws fitted here, for three strengths of the shift (as in"
        f" Figure~8). CPT takes a cosine from the peak to zero, stretched to every length up to"
        f" {result['max_steps']:,} steps. A circle marks the weights up to which the goal never rises; from the"
        " dotted line on the law says that it never comes back. To see: how the turning length grows with the weight"
        r" of the \Dpt{} loss until there is none.",
        "turning lengths against $w_1$ for three strengths of the shift, without numbers.",
        checks,
        notes,
    )


def _start(curve: Mapping[str, Any]) -> str:
    """How the loss at the start of CPT lies to the critical point."""
    start = f"CPT starts at a \\Dpt{{}} loss of {fixed(curve['start'], 3).latex}"
    if not curve["critical_point_determined"]:
        return f"{start}; the critical point lies far above it, where these runs do not determine it"
    above = "above" if curve["start"] > curve["critical_point"] else "below"
    return f"{start}, {above} the critical point of {fixed(curve['critical_point'], 3).latex}"
