"""What Figure 15 shows: Eq. 7 fitted to all model sizes."""

from typing import Any

from cpt_dynamics.figures.kit.latex import escape, fixed, number, percent
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material

R2 = 0.98  # of Eq. 7 on all fitted losses
LEVELS = (
    r"$L_0$, $F$ and $\gamma_3$ set one level for each size: three sizes determine them without testing them, and two"
    " leave them open. A size that was left out therefore tests the law only where the level is its own."
)


def claims(material: Material) -> Claims:
    checks, notes = [], []
    for role, found in material.pick("fig15", "fits").items():
        checks.append(
            Check(
                f"$R^2$ of the law with model size on all fitted losses, {SETS[role]}",
                f"R2 of Eq. 7 on {PLAIN[role]}",
                found["r2"],
                R2,
                show=lambda value: fixed(value, 4),
            )
        )
        notes += _notes(found, material.pick("fig15", "left_out", role), role, _printed(material, role))
    notes.append(LEVELS)
    return Claims(
        "The paper's law with model size (its Eq.~7) fitted to the curves of all sizes at once, one set of coefficients"
        " for each validation set. To see: whether one set follows the level, the annealing and the jump of every"
        " size.",
        "the two fitted equations for 106M to 1720M parameters, without $R^2$. The unit of $N$ is not printed; in"
        " millions of parameters the printed coefficients give the printed losses.",
        checks,
        notes,
    )


def _notes(found: dict[str, Any], left_out: dict[str, Any], role: str, printed: dict[str, float]) -> list[str]:
    ours = found["parameters"]
    pairs = ", ".join(
        f"${name}={number(ours[key], 3).latex.strip('$')}$ ({printed[key]:g})"
        for key, name in (("F", "F"), ("g3", r"\gamma_3"), ("g1", r"\gamma_1"), ("g2", r"\gamma_2"))
    )
    notes = [
        f"On {SETS[role]}, with the paper's values in brackets: {pairs}; $R^2$ over CPT losses alone is"
        f" {fixed(found['r2_continual'], 4).latex}."
    ]
    if left_out:
        errors = ", ".join(
            f"{percent(one['prediction']).latex} ({percent(one['levelled']).latex}) for {escape(model)}"
            for model, one in left_out.items()
        )
        notes.append(
            f"Fitted to the other sizes, the law misses the CPT losses of a size on {SETS[role]} by a mean of {errors};"
            " in brackets the error once the level is taken from that size's own pre-training."
        )
    if found["fit"]["warnings"]:
        notes.append(f"The fit on {SETS[role]} warns: {escape('; '.join(found['fit']['warnings']))}.")
    return notes


def _printed(material: Material, role: str) -> dict[str, float]:
    fits = material.published["fits"]
    found: dict[str, float] = next(p["parameters"] for p in fits if (p["figure"], p["role"]) == ("fig15", role))
    return found
