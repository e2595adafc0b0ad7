"""What Figure 3 shows: Eq. 4 fitted to all curves."""

from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.latex import Cell, escape, fixed, number
from cpt_dynamics.reporting.material import Material

JOINT_R2 = 0.99  # of Eq. 4 on all fitted rows
CONTINUAL_R2 = 0.97  # of Eq. 4 on the CPT rows alone


def claims(material: Material) -> Claims:
    checks, notes = [], []
    for role, found in material.pick("fig03", "fits").items():
        chosen = found["chosen"]
        r2 = number(material.table2(role)["r2"], 4)
        sign = 1 if role == "general" else -1
        free = found["free_sign_B"]
        checks += [
            Check(
                f"$R^2$ of Eq.~\\ref{{eq:law}} on all fitted losses, {SETS[role]}",
                f"R2 of Eq. 4 on {PLAIN[role]}",
                chosen["r2"],
                JOINT_R2,
                show=lambda value: fixed(value, 4),
                printed=r2,
            ),
            Check(
                f"the same on CPT losses alone, {SETS[role]}",
                f"R2 of Eq. 4 on CPT rows of {PLAIN[role]}",
                chosen["r2_continual"],
                CONTINUAL_R2,
                show=lambda value: fixed(value, 4),
            ),
            Check(
                f"skill: 1 minus the error on CPT losses over that without annealing, {SETS[role]}",
                f"annealing explains CPT losses of {PLAIN[role]}",
                chosen["skill"],
                0.0,
                show=lambda value: fixed(value, 3),
            ),
            Check(
                f"shift $B$ where its sign is left free, {SETS[role]}",
                f"sign of B on {PLAIN[role]}",
                free,
                lower=0.0 if sign > 0 else None,
                upper=None if sign > 0 else 0.0,
                show=lambda value: number(value, 3),
                printed=Cell("positive" if sign > 0 else "negative"),
            ),
        ]
        how = "carried over into CPT" if found["better_carry_over"] else "started anew at the transfer"
        notes.append(f"On {SETS[role]} the fit is better with the momentum of the annealing area {how}.")
        warnings = chosen["fit"]["warnings"]
        if warnings:
            notes.append(f"The fit on {SETS[role]} warns: {escape('; '.join(warnings))}.")
    return Claims(
        r"Equation~\ref{eq:law} fitted to all PT and CPT curves of the figure at once, one set of"
        " coefficients for each validation set. To see: whether the law follows the drop of each decay of the"
        " learning rate as well as the jump and the recovery after the transfer.",
        r"the fitted equations (coefficients beside ours in Table~\ref{tab:table_coefficients}) and their"
        r" $R^2$.",
        checks,
        notes,
    )
