"""What the same-data control shows: a re-warm-up on the corpus of pre-training."""

from cpt_dynamics.figures.kit.latex import escape, number, percent
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material

RESIDUAL = 0.2  # largest residual of Eq. 2 on the controls over the size of the shift
OVERLAP = 0.2  # largest mean distance between the shifts of the schedules at the same S1cpt, over their size


def claims(material: Material) -> Claims:
    checks, notes = [], []
    pairs = material.pick("control", "pairs")
    for role, found in material.pick("control", "sets").items():
        overlap = found["overlap"]
        checks += [
            Check(
                rf"mean residual of Eq.~\ref{{eq:base}} on the controls over the mean shift, {SETS[role]}",
                f"a re-warm-up on the same data follows Eq. 2 on {PLAIN[role]}",
                found["residual_share"],
                upper=RESIDUAL,
                show=lambda value: percent(value, 1),
            ),
            Check(
                f"mean distance of the shifts of the schedules at the same $S_1^\\mathrm{{cpt}}$ over their size, "
                f"{SETS[role]}",
                f"the shift is the same under every LR on {PLAIN[role]}",
                overlap and overlap["s1cpt"]["relative"],
                upper=OVERLAP,
                show=lambda value: percent(value, 1),
            ),
        ]
        refitted = found["refitted"]
        notes.append(
            f"On {SETS[role]} the residual is {number(found['residual'], 3).latex} nats and the shift"
            f" {number(found['shift_size'], 3).latex} nats (means over runs). With the controls in the fit, so without"
            f" extrapolation, the residual share is {percent(refitted['residual_share'], 1).latex}."
            + (
                f" Compared at the same step instead of the same $S_1^\\mathrm{{cpt}}$, the shifts lie"
                f" {percent(overlap['phase_step']['relative'], 1).latex} of their size apart."
                if overlap
                else ""
            )
        )
    listed = ", ".join(f"{escape(run)} with {escape(control)}" for run, control in pairs.items())
    notes.append(
        f"Pairs: {listed}. Where a control repeats measurements that are fitted (under a constant learning rate it is"
        r" the hidden curve itself), it has no part in the residual."
    )
    return Claims(
        r"CPT on \Dcpt{} and, under the same learning rates, on \Dpt{} itself, after the same pre-training. The line is"
        r" Eq.~\ref{eq:base} fitted to pre-training alone, with one $C$ for all annealing. Below: CPT loss minus that"
        " of the control, which is the shift under any schedule. To see: whether the line follows the controls through"
        " the re-warm-up and the decay, and whether the shift depends on the learning rates by their sum alone.",
        "no such control; its shift is measured against hidden curves under a constant learning rate, and it says that"
        r" the shift is a function of $S_1^\mathrm{cpt}$.",
        checks,
        notes,
    )
