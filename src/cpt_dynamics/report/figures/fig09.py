"""What Figure 9 shows: an out-of-domain loss that rises and one that falls."""

from cpt_dynamics.figures.kit.latex import Cell, escape, fixed
from cpt_dynamics.reporting.checks import Check, Claims, statement
from cpt_dynamics.reporting.material import Material

WITHIN = 0.02  # nats, mean absolute error up to which a set counts as predicted
TURN = {"rising": "rises", "falling": "falls"}


def claims(material: Material) -> Claims:
    checks, notes = [], []
    for direction, found in material.pick("fig09", "directions").items():
        verb = TURN[direction]
        claim = f"the loss on some set {verb} during CPT (mean over the runs)"
        checks.append(statement(Cell(claim), found is not None))
        if found is None:
            continue
        errors = found["mean_absolute_error"]
        checks.append(
            Check(
                f"mean absolute error on {escape(found['validation'])}, which {verb} (nats)",
                f"Eq. 6 predicts the set that {verb}",
                errors["measured"],
                upper=WITHIN,
                show=lambda value: fixed(value, 4),
                printed=Cell("below 0.003"),
            )
        )
        notes.append(
            f"{escape(found['validation'])} {verb} by {fixed(abs(found['change']), 3).latex} nats. From the losses that"
            rf" Eq.~\ref{{eq:law}} predicts instead of the measured ones, so from the learning rates alone, its error"
            f" is {fixed(errors['law'], 4).latex} nats."
        )
    return Claims(
        "The set whose loss rises most during CPT and the one whose loss falls most, on three held-out runs: those of"
        " the smallest, the median and the largest error among all held-out runs. Lines put the measured losses on"
        r" \Dpt{} and \Dcpt{} into Eq.~6, or those of Eq.~\ref{eq:law} fitted to other schedules. To see: whether both"
        " directions follow from the same two losses.",
        "one upward and one downward set that Eq.~6 follows, for two learning rate schedules.",
        checks,
        notes,
    )
