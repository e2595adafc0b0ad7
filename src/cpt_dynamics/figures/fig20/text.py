"""The words about Figure 20."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig20.result import FormFit, FormsOfSet, Result
from cpt_dynamics.figures.kit.latex import fixed, percent
from cpt_dynamics.figures.kit.text import SETS, Text

FORMS = {
    "lr_weighted_01": r"Eq.~9 with $\epsilon=0.1$",
    "lr_weighted_02": r"Eq.~9 with $\epsilon=0.2$",
    "power": "Eq.~10",
}


def text(data: FigureData, result: Result) -> Text:
    return Text(
        "Annealing areas weighted by a power of the learning rate (Eq.~9) or raised to a power (Eq.~10), fitted to the"
        " runs of Figure~3, and the errors of each form on runs that none of them was fitted to. To see: whether any"
        " form follows the curves better, and whether that holds on schedules that were not fitted.",
        r"equal quality of the fits (its Table~2, beside ours in Table~\ref{tab:table2}), without held-out runs.",
        [
            *(_better(role, found) for role, found in result.sets.items()),
            "The held-out runs share coefficients and the start of their training, so the intervals are of the"
            " schedules that were run, not of trainings.",
        ],
    )


def _better(role: Role, found: FormsOfSet) -> str:
    """Which form fits best and which predicts best."""
    forms: dict[str, FormFit] = {
        "Eq.~4": found.original,
        **{FORMS[key]: form for key, form in found.variants.items()},
    }
    quality = {name: float("-inf") if form.r2 is None else form.r2 for name, form in forms.items()}
    errors = {name: form.heldout.mean for name, form in forms.items() if form.heldout.mean is not None}
    if not errors:
        return f"On {SETS[role]} no form has an error on held-out runs."
    fitted, best = max(quality, key=lambda name: quality[name]), min(errors, key=lambda name: errors[name])
    values = ", ".join(f"{name} {percent(error, 3).latex}" for name, error in errors.items())
    return (
        f"On {SETS[role]} {fitted} has the highest $R^2$ ({fixed(forms[fitted].r2, 4).latex}) and {best} the lowest"
        f" held-out error ({values})."
    )
