"""The words about Figure 13."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig13.result import FittedCurve, Result
from cpt_dynamics.figures.kit import strengths
from cpt_dynamics.figures.kit.latex import fixed
from cpt_dynamics.figures.kit.statement import sentence
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: Result) -> Text:
    notes = [
        f"{strength.capitalize()} shift: {sentence(result.infinite[strength])}; {_start(curve)}."
        for strength, curve in result.curves.items()
    ]
    return Text(
        "The fewest steps of CPT after which the goal, $w_1$ times the \\Dpt{} loss plus $1-w_1$ times the \\Dcpt{}"
        " loss, is back at its value before CPT, by the laws fitted here, for three strengths of the shift (as in"
        f" Figure~8). CPT takes a cosine from the peak to zero, stretched to every length up to {result.max_steps:,}"
        " steps. A circle marks the weights up to which the goal never rises; from the dotted line on the law says that"
        r" it never comes back. To see: how the turning length grows with the weight of the \Dpt{} loss until there is"
        " none.",
        "turning lengths against $w_1$ for three strengths of the shift, without numbers.",
        [strengths.note(result.laws), *notes],
    )


def _start(curve: FittedCurve) -> str:
    """How the loss at the start of CPT lies to the critical point."""
    start = f"CPT starts at a \\Dpt{{}} loss of {fixed(curve.start, 3).latex}"
    if not curve.critical_point_determined:
        return f"{start}; the critical point lies far above it, where these runs do not determine it"
    above = "above" if curve.start > curve.critical_point else "below"
    return f"{start}, {above} the critical point of {fixed(curve.critical_point, 3).latex}"
