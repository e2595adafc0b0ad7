"""What Figure 20 shows: other forms of the annealing area."""

from typing import Any

from cpt_dynamics.figures.kit.latex import Cell, fixed, percent
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material

MARGIN = 0.001  # of a mean relative error: ends of a 90 % interval inside it make equivalence at the 5 % level
FORMS = {
    "lr_weighted_01": ("Eq.~9 with $\\epsilon=0.1$", "Eq. 9, eps 0.1", "eps 0.1"),
    "lr_weighted_02": ("Eq.~9 with $\\epsilon=0.2$", "Eq. 9, eps 0.2", "eps 0.2"),
    "power": ("Eq.~10", "Eq. 10", "power"),
}


def claims(material: Material) -> Claims:
    checks, notes = [], []
    printed = {(row["role"], row["variant"]): row["r2"] for row in material.published["table2"]}
    for role, found in material.pick("fig20", "sets").items():
        for variant in found["variants"]:
            theirs = printed[role, FORMS[variant][2]] - printed[role, "original"]
            checks += _equivalence(role, variant, found["variants"][variant]["difference"], theirs)
        checks.append(_carry_over(role, found["carry_over"]["difference"]))
        notes.append(_better(role, found))
    notes.append(
        "The held-out runs share coefficients and the start of their training, so the intervals are of the schedules"
        " that were run, not of trainings."
    )
    return Claims(
        "Annealing areas weighted by a power of the learning rate (Eq.~9) or raised to a power (Eq.~10), fitted to the"
        " runs of Figure~3, and the errors of each form on runs that none of them was fitted to. To see: whether any"
        " form follows the curves better, and whether that holds on schedules that were not fitted.",
        r"equal quality of the fits (its Table~2, beside ours in Table~\ref{tab:table2}), without held-out runs.",
        checks,
        notes,
    )


def _equivalence(role: str, variant: str, found: dict[str, Any], printed: float) -> list[Check]:
    """Both ends of the interval of the difference from Eq. 4 lie inside the margin."""
    name, plain, _ = FORMS[variant]
    theirs = Cell(f"R2 {printed:+.4f}", f"$R^2$ ${printed:+.4f}$")

    def check(end: str, key: str, lower: float | None, upper: float | None) -> Check:
        return Check(
            f"{end} end of the 90\\,\\% interval of the held-out error of {name} minus that of Eq.~4, {SETS[role]}",
            f"{plain} predicts as well as Eq. 4 on {PLAIN[role]} ({end} end)",
            found[key],
            lower,
            upper,
            show=lambda value: percent(value, 3),
            printed=theirs,
        )

    return [check("lower", "low", -MARGIN, None), check("upper", "high", None, MARGIN)]


def _carry_over(role: str, found: dict[str, Any]) -> Check:
    return Check(
        "upper end of the 90\\,\\% interval of the held-out error with the momentum of the annealing area carried over"
        f" into CPT minus that with a restart, {SETS[role]}",
        f"the momentum carries over on {PLAIN[role]}",
        found["high"],
        upper=0.0,
        show=lambda value: percent(value, 3),
        printed=Cell("not said"),
    )


def _better(role: str, found: dict[str, Any]) -> str:
    """Which form fits best and which predicts best."""
    forms = {"Eq.~4": found["original"]} | {FORMS[key][0]: form for key, form in found["variants"].items()}
    fitted = max(forms, key=lambda name: forms[name]["r2"] if forms[name]["r2"] is not None else float("-inf"))
    errors = {name: form["heldout"]["mean"] for name, form in forms.items() if form["heldout"]["mean"] is not None}
    if not errors:
        return f"On {SETS[role]} no form has an error on held-out runs."
    best = min(errors, key=lambda name: errors[name])
    values = ", ".join(f"{name} {percent(error, 3).latex}" for name, error in errors.items())
    quality = fixed(forms[fitted]["r2"], 4).latex
    return (
        f"On {SETS[role]} {fitted} has the highest $R^2$ ({quality}) and {best} the lowest held-out error ({values})."
    )
