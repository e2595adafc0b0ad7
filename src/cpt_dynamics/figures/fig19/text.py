"""The words about Figure 19."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig19.result import Result, TestedForm
from cpt_dynamics.figures.kit import published
from cpt_dynamics.figures.kit.latex import escape, number
from cpt_dynamics.figures.kit.text import SETS, Text

FORMS = {"printed": "Eq.~8 as printed", "exchanged": "Eq.~8 with exchanged growths"}


def text(data: FigureData, result: Result) -> Text:
    notes = [
        f"{FORMS[form]} on {SETS[role]}: {_coefficients(one, role)}."
        for role, forms in result.fits.items()
        for form, one in forms.growths.items()
    ]
    notes.append(
        r"On \Dcpt{} the printed equation has $r_\mathrm{cpt}$ in the annealing factor and the paper's fitted form"
        r" $r_\mathrm{pt}$. With $r_\mathrm{pt}+r_\mathrm{cpt}=1$ and $a_1$ of either sign both are one law: the"
        r" $a_1$ of one is the negative of the other's."
    )
    return Text(
        "CPT losses at every replay ratio under three schedules, and Eq.~8 fitted to all of them at once, one set of"
        " coefficients for each validation set. As printed, the shift grows with the share of domain text as"
        r" $1-e^{-a_2 r_\mathrm{cpt}}$ on \Dpt{} and as $e^{a_2 r_\mathrm{cpt}}-1$ on \Dcpt{}; the paper's separate"
        " fits for each ratio (its Fig.~12) rather follow the two growths exchanged, so both are fitted. To see: which"
        " of the two keeps the distances between the ratios.",
        r"the fitted equation without $R^2$ and without $\beta$, with the coefficients beside ours in the figure.",
        notes,
    )


def _coefficients(found: TestedForm, role: Role) -> str:
    """The two coefficients that Eq. 8 adds, beside those of the paper, and what the fit warns of."""
    printed = published.find("fig19", role).parameters
    values = ", ".join(
        f"${symbol}={number(found.parameters[name], 3).latex.strip('$')}$ (paper {number(printed[name], 3).latex})"
        for name, symbol in (("a1", "a_1"), ("a2", "a_2"))
    )
    warnings = found.fit.warnings
    return values + (f"; the fit warns: {escape('; '.join(warnings))}" if warnings else "")
