"""What Figure 11 shows: Eq. 4 on the domain of weak shift."""

from cpt_dynamics.figures.kit.latex import escape, fixed, number
from cpt_dynamics.reporting.checks import Check, Claims
from cpt_dynamics.reporting.material import Material

R2 = 0.98  # of Eq. 4 on all fitted losses
NAMES = {"general": (r"$D_\mathrm{pt}$", "D_pt"), "weak": (r"the domain of weak shift", "the domain of weak shift")}


def claims(material: Material) -> Claims:
    checks, notes = [], []
    for role, found in material.pick("fig11", "fits").items():
        latex, plain = NAMES[role]
        checks.append(
            Check(
                f"$R^2$ of Eq.~\\ref{{eq:law}} on all fitted losses, {latex}",
                f"R2 of Eq. 4 on {plain}",
                found["r2"],
                R2,
                show=lambda value: fixed(value, 4),
            )
        )
        notes.append(
            f"On {latex} $R^2$ over CPT losses alone is {fixed(found['r2_continual'], 4).latex}, and the fitted shift"
            f" at the end of the longest CPT is {number(found['end']['shift'], 3).latex} nats."
        )
        if found["fit"]["warnings"]:
            notes.append(f"The fit on {latex} warns: {escape('; '.join(found['fit']['warnings']))}.")
    theirs = [p["parameters"] for p in material.published["fits"] if p["figure"] == "fig11"]
    shifts = " and ".join(f"${p['B']}\\,[1-(1+{p['E']}\\,S_1)^{{-{p['beta']}}}]$" for p in theirs)
    return Claims(
        r"Equation~\ref{eq:law} fitted to PT and to CPT on the domain of weak shift, under several schedules of the"
        " learning rate. To see: whether the same law holds for another domain, and how large its jump is on"
        r" \Dpt{}.",
        rf"the two fitted equations (106M parameters, Pile-of-Law) with shift terms {shifts} on \Dpt{{}} and \Dcpt{{}},"
        r" without $R^2$.",
        checks,
        notes,
    )
