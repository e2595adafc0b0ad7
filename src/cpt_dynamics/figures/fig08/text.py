"""The words about Figure 8."""

from collections.abc import Mapping, Sequence

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig08.result import Inside, Result
from cpt_dynamics.figures.kit import strengths
from cpt_dynamics.figures.kit.latex import escape
from cpt_dynamics.figures.kit.text import Text

FORMS = {"exchanged": "Eq. 8 with its growths exchanged", "printed": "Eq. 8 as printed", "separate": "separate fits"}


def text(data: FigureData, result: Result) -> Text:
    change, final, steps = result.interior.change, result.interior.final, result.continual_steps
    return Text(
        r"The value that minimises the weighted goal of Eq.~5 of the paper, $w_1$ times the change of the \Dpt{} loss"
        r" plus $1-w_1$ times that of the \Dcpt{} loss over CPT, by the laws fitted here: WSD pre-training of"
        f" {result.pretraining_steps:,} steps to 10\\,\\% of its peak, CPT with a cosine of {steps:,} steps to"
        " zero. (a) Loss potential of the checkpoint, without re-warm-up, for three strengths of the shift. (b) Peak"
        " learning rate. (c) Replay ratio for three lengths of CPT, by two readings of Eq.~8 and by separate fits."
        " Dotted in (a): by the losses at the end of CPT instead of their changes. To see: for which weights the best"
        " value is no end of the range, and where it moves.",
        "such curves for three strengths of the shift and three lengths of CPT, with a line of equal distributions;"
        " without numbers.",
        [
            strengths.note(result.laws),
            _inside("loss potential", change.potential, final.potential),
            _inside("peak LR", change.peak_lr, final.peak_lr),
            _inside("replay ratio", change.replay, final.replay),
        ],
    )


def _inside(name: str, change: Mapping[str, Inside], final: Mapping[str, Inside]) -> str:
    """For which weights the best value of a knob lies inside the range; forms of a law over all lengths of CPT."""
    parts = []
    for key in dict.fromkeys(key.split(",")[0] for key in change):
        stated, ended = (
            _weights([one for k, one in found.items() if k.split(",")[0] == key]) for found in (change, final)
        )
        parts.append(f"{escape(FORMS.get(key, key))}: {stated} (by final losses: {ended})")
    return f"Weights $w_1$ with a best {name} inside the range: {'; '.join(parts)}."


def _weights(found: Sequence[Inside]) -> str:
    """From the lowest to the highest of the weights with an interior best value."""
    lows = [one.lowest for one in found if one.lowest is not None]
    highs = [one.highest for one in found if one.highest is not None]
    if not lows:
        return "none"
    low, high = min(lows), max(highs)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
