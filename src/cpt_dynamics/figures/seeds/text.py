"""What another seed changes."""

from typing import Any

from cpt_dynamics.figures.kit.latex import fixed, number, percent
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material

PREDICTION = 0.01  # largest mean relative error of a prediction, as for schedules that were not fitted
REPEATS = 1.5  # error of the first seed's fit on another seed over that of the other seed's own fit


def claims(material: Material) -> Claims:
    checks: list[Check] = []
    notes: list[str] = []
    for role in SETS:
        law = material.pick("seeds", "law", role)
        first, own = _other_seeds(law)
        checks += [
            Check(
                f"standard deviation over seeds of a final loss, relative to it, {SETS[role]}",
                f"noise of seeds is below the errors that are to be told apart on {PLAIN[role]}",
                material.pick("seeds", "noise_relative", role),
                upper=PREDICTION,
                show=percent,
            ),
            Check(
                "mean relative error on the CPT losses of the other seeds of Eq.~\\ref{eq:law} fitted to the first,"
                f" {SETS[role]}",
                f"coefficients of one seed predict the others on {PLAIN[role]}",
                first,
                upper=PREDICTION,
                show=percent,
            ),
            Check(
                f"the same over the error of fits to those seeds themselves, {SETS[role]}",
                f"coefficients of one seed predict the others as well as their own on {PLAIN[role]}",
                first / own if first is not None and own else None,
                upper=REPEATS,
                show=lambda value: fixed(value, 2),
            ),
        ]
        if material.pick("seeds", "noise", role) is not None:
            notes.append(_note(material, role))
    if not material.pick("seeds", "groups"):
        notes.append("No run was trained with several seeds at this scale.")
    return Claims(
        "Losses of runs that were trained with several seeds, which change the initial weights and the order of the"
        " data. Above: final losses minus their mean over seeds; the band is their pooled standard deviation; diamonds"
        r" are Eq.~\ref{eq:law} fitted to the runs of Figure~3 with the first seed. Below: that deviation along CPT"
        " (dashed: at the end), and the coefficients fitted to each seed over their mean, with two products of them"
        " that losses determine better. To see: how large a"
        " difference between two runs must be to mean anything, and which coefficients another seed moves.",
        "one seed a run, without a word on noise.",
        checks,
        notes,
    )


def _other_seeds(law: dict[str, Any] | None) -> tuple[float | None, float | None]:
    """Mean over the seeds but the first: errors of the first seed's fit, and of each seed's own."""
    others = list(law["errors"].values())[1:] if law else []
    return _mean(others, "first"), _mean(others, "own")


def _mean(errors: list[dict[str, Any]], fit: str) -> float | None:
    values = [one[fit]["mean_relative_error"] for one in errors]
    return sum(values) / len(values) if values and None not in values else None


def _note(material: Material, role: str) -> str:
    """The noise in nats, and how it divides into an offset of whole curves and a residual."""
    noise, offset, residual, chance = (
        1e3 * material.pick("seeds", key, role) for key in ("noise", "offset", "residual", "offset_by_chance")
    )
    return (
        f"On {SETS[role]} the standard deviation of a final loss over seeds is {number(noise, 2).latex}"
        f" ($10^{{-3}}$ nats). Whole CPT curves lie apart by {number(offset, 2).latex} (of their means) and scatter"
        f" around that by {number(residual, 2).latex}; independent scatter alone would move the means by"
        f" {number(chance, 2).latex}."
    )
