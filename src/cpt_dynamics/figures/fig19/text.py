"""What Figure 19 shows: one set of coefficients for all replay ratios."""

from typing import Any

from cpt_dynamics.figures.kit.latex import escape, fixed, number, percent
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material

R2 = 0.98  # of Eq. 8 on all fitted rows
CONTINUAL_R2 = 0.95  # of Eq. 8 on the CPT rows alone
PREDICTION = 0.01  # largest mean relative error on the CPT rows of a ratio that was left out, over the ratios
FORMS = {"printed": "Eq.~8 as printed", "exchanged": "Eq.~8 with exchanged growths"}


def claims(material: Material) -> Claims:
    checks, notes = [], []
    printed = {p["role"]: p["parameters"] for p in material.published["fits"] if p["figure"] == "fig19"}
    for role, found in material.pick("fig19", "fits").items():
        for form in FORMS:
            checks += _checks(role, form, found[form])
            notes.append(_coefficients(role, form, found[form], printed[role]))
    notes.append(
        r"On \Dcpt{} the printed equation has $r_\mathrm{cpt}$ in the annealing factor and the paper's fitted form"
        r" $r_\mathrm{pt}$. With $r_\mathrm{pt}+r_\mathrm{cpt}=1$ and $a_1$ of either sign both are one law: the"
        r" $a_1$ of one is the negative of the other's."
    )
    return Claims(
        "CPT losses at every replay ratio under three schedules, and Eq.~8 fitted to all of them at once, one set of"
        " coefficients for each validation set. As printed, the shift grows with the share of domain text as"
        r" $1-e^{-a_2 r_\mathrm{cpt}}$ on \Dpt{} and as $e^{a_2 r_\mathrm{cpt}}-1$ on \Dcpt{}; the paper's separate"
        " fits for each ratio (its Fig.~12) rather follow the two growths exchanged, so both are fitted. To see: which"
        " of the two keeps the distances between the ratios.",
        r"the fitted equation without $R^2$ and without $\beta$, with the coefficients beside ours in the figure.",
        checks,
        notes,
    )


def _checks(role: str, form: str, found: dict[str, Any]) -> list[Check]:
    """The quality of one form on one validation set."""
    plain = FORMS[form].replace("~", " ")
    return [
        Check(
            f"$R^2$ of {FORMS[form]} on all fitted losses, {SETS[role]}",
            f"R2 of {plain} on {PLAIN[role]}",
            found["r2"],
            R2,
            show=lambda value: fixed(value, 4),
        ),
        Check(
            f"the same on CPT losses alone, {SETS[role]}",
            f"R2 of {plain} on CPT rows of {PLAIN[role]}",
            found["r2_continual"],
            CONTINUAL_R2,
            show=lambda value: fixed(value, 4),
        ),
        Check(
            f"largest mean relative error of {FORMS[form]} on the CPT losses of a replay ratio that was left out of the"
            f" fit, {SETS[role]}",
            f"{plain} predicts a left-out replay ratio on {PLAIN[role]}",
            found["left_out_worst"],
            upper=PREDICTION,
            show=percent,
        ),
    ]


def _coefficients(role: str, form: str, found: dict[str, Any], printed: dict[str, float | None]) -> str:
    """The two coefficients that Eq. 8 adds, beside those of the paper, and what the fit warns of."""
    ours = found["parameters"]
    values = ", ".join(
        f"${symbol}={number(ours[name], 3).latex.strip('$')}$ (paper {number(printed[name], 3).latex})"
        for name, symbol in (("a1", "a_1"), ("a2", "a_2"))
    )
    warnings = found["fit"]["warnings"]
    warned = f"; the fit warns: {escape('; '.join(warnings))}" if warnings else ""
    return f"{FORMS[form]} on {SETS[role]}: {values}{warned}."
