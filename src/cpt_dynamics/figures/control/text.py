"""The words about the same-data control: a re-warm-up on the corpus of pre-training."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.control.result import Result, Set
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.latex import escape, number, percent
from cpt_dynamics.figures.kit.text import SETS, Text


def text(data: FigureData, result: Result) -> Text:
    listed = ", ".join(f"{escape(run)} with {escape(control)}" for run, control in result.pairs.items())
    return Text(
        r"CPT on \Dcpt{} and, under the same learning rates, on \Dpt{} itself, after the same pre-training. The line is"
        r" Eq.~\ref{eq:base} fitted to pre-training alone, with one $C$ for all annealing. Below: CPT loss minus that"
        " of the control, which is the shift under any schedule. To see: whether the line follows the controls through"
        " the re-warm-up and the decay, and whether the shift depends on the learning rates by their sum alone.",
        "no such control; its shift is measured against hidden curves under a constant learning rate, and it says that"
        r" the shift is a function of $S_1^\mathrm{cpt}$.",
        [
            *(_note(found, role) for role, found in result.sets.items()),
            f"Pairs: {listed}. Where a control repeats measurements that are fitted (under a constant learning rate it"
            " is the hidden curve itself), it has no part in the residual.",
        ],
    )


def _note(found: Set, role: Role) -> str:
    note = (
        f"On {SETS[role]} the residual is {number(found.residual, 3).latex} nats and the shift"
        f" {number(found.shift_size, 3).latex} nats (means over runs). With the controls in the fit, so without"
        f" extrapolation, the residual share is {percent(found.refitted.residual_share, 1).latex}."
    )
    if found.overlap:
        note += (
            r" Compared at the same step instead of the same $S_1^\mathrm{cpt}$, the shifts lie"
            f" {percent(found.overlap.phase_step.relative, 1).latex} of their size apart."
        )
    return note
