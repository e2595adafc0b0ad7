"""The words about Figure 15."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig15.result import FitOfSet, LeftOut, Result
from cpt_dynamics.figures.kit import published
from cpt_dynamics.figures.kit.latex import escape, fixed, number, percent
from cpt_dynamics.figures.kit.text import SETS, Text, warned

LEVELS = (
    r"$L_0$, $F$ and $\gamma_3$ set one level for each size: three sizes determine them without testing them, and two"
    " leave them open. A size that was left out therefore tests the law only where the level is its own."
)


def text(data: FigureData, result: Result) -> Text:
    notes = [note for role in result.fits for note in _notes(role, result.fits[role], result.left_out[role])]
    return Text(
        "The paper's law with model size (its Eq.~7) fitted to the curves of all sizes at once, one set of coefficients"
        " for each validation set. To see: whether one set follows the level, the annealing and the jump of every"
        " size.",
        "the two fitted equations for 106M to 1720M parameters, without $R^2$. The unit of $N$ is not printed; in"
        " millions of parameters the printed coefficients give the printed losses.",
        [*notes, LEVELS],
    )


def _notes(role: Role, found: FitOfSet, left_out: dict[str, LeftOut]) -> list[str]:
    printed = published.find("fig15", role).parameters
    pairs = ", ".join(
        f"${name}={number(found.parameters[key], 3).latex.strip('$')}$ ({printed[key]:g})"
        for key, name in (("F", "F"), ("g3", r"\gamma_3"), ("g1", r"\gamma_1"), ("g2", r"\gamma_2"))
    )
    notes = [
        f"On {SETS[role]}, with the paper's values in brackets: {pairs}; $R^2$ over CPT losses alone is"
        f" {fixed(found.r2_continual, 4).latex}."
    ]
    if left_out:
        errors = ", ".join(
            f"{percent(one.prediction).latex} ({percent(one.levelled).latex}) for {escape(model)}"
            for model, one in left_out.items()
        )
        notes.append(
            f"Fitted to the other sizes, the law misses the CPT losses of a size on {SETS[role]} by a mean of {errors};"
            " in brackets the error once the level is taken from that size's own pre-training."
        )
    return [*notes, *warned(found.fit, f"The fit on {SETS[role]}")]
