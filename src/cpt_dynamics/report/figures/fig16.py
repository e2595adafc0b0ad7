"""What Figure 16 shows: Eq. 4 at each of the larger model sizes."""

from cpt_dynamics.figures.kit.latex import escape, fixed
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material

R2 = 0.98  # of Eq. 4 on all fitted losses of a size


def claims(material: Material) -> Claims:
    checks, notes = [], []
    for model, by_role in material.pick("fig16", "fits").items():
        for role, found in by_role.items():
            checks.append(
                Check(
                    f"$R^2$ of Eq.~\\ref{{eq:law}} on all fitted losses of the model {escape(model)}, {SETS[role]}",
                    f"R2 of Eq. 4 on {PLAIN[role]} at the size {model}",
                    found["r2"],
                    R2,
                    show=lambda value: fixed(value, 4),
                )
            )
            if found["fit"]["warnings"]:
                warnings = escape("; ".join(found["fit"]["warnings"]))
                notes.append(f"The fit of {escape(model)} on {SETS[role]} warns: {warnings}.")
    shifts = ", ".join(
        f"${p['parameters']['B']:g}\\,[1-(1+{p['parameters']['E']}\\,S_1)^{{-{p['parameters']['beta']}}}]$"
        for p in material.published["fits"]
        if p["figure"] == "fig16"
    )
    return Claims(
        r"Equation~\ref{eq:law} fitted to each of the larger models separately. To see: whether the law holds at each"
        " size, and whether the coefficients of the shift and of annealing change with it.",
        rf"the fitted equations for 594M and 1720M parameters, without $R^2$. Their shift terms, {shifts}"
        r" (\Dpt{} and \Dcpt{} of the one size, then of the other), have very small exponents on \Dpt{}, where only"
        r" the product of $B$ and $\beta$ is determined.",
        checks,
        notes,
    )
