"""What Figure 13 shows: the turning length of the weighted goal."""

from cpt_dynamics.reporting.checks import Claims, statement
from cpt_dynamics.reporting.figures.statements import sentence
from cpt_dynamics.reporting.latex import fixed
from cpt_dynamics.reporting.material import Material


def claims(material: Material) -> Claims:
    result = material.result("fig13")
    checks = [statement(sentence(check["text"]), check["holds"]) for check in result["checks"]]
    notes = []
    for strength, curve in result["curves"].items():
        above = "above" if curve["start"] > curve["critical_point"] else "below"
        notes.append(
            f"{strength.capitalize()} shift: {sentence(result['infinite'][strength]).latex}; CPT starts at a"
            f" \\Dpt{{}} loss of {fixed(curve['start'], 3).latex}, {above} the critical point of"
            f" {fixed(curve['critical_point'], 3).latex}."
        )
    return Claims(
        "The fewest steps of CPT after which the goal, $w_1$ times the \\Dpt{} loss plus $1-w_1$ times the \\Dcpt{}"
        " loss, is back at its value before CPT, by the laws fitted here, for three strengths of the shift (as in"
        f" Figure~8). CPT takes a cosine from the peak to zero, stretched to every length up to"
        f" {result['max_steps']:,} steps. A circle marks the weights up to which the goal never rises; from the"
        " dotted line on the law says that it never comes back. To see: how the turning length grows with the weight"
        r" of the \Dpt{} loss until there is none.",
        "turning lengths that grow with $w_1$ and become infinite, earlier for a stronger shift.",
        checks,
        notes,
    )
