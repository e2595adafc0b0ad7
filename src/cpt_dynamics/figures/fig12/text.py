"""What Figure 12 shows: Eq. 4 at each replay ratio."""

from itertools import pairwise
from typing import Any

from cpt_dynamics.figures.kit.latex import Cell, fixed, number
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims, statement
from cpt_dynamics.reporting.material import Material

R2 = 0.98  # of Eq. 4 on all losses fitted at a ratio


def claims(material: Material) -> Claims:
    fits, checks = material.pick("fig12", "fits"), []
    for role in SETS:
        checks += [
            Check(
                f"smallest $R^2$ of Eq.~\\ref{{eq:law}} among the replay ratios, {SETS[role]}",
                f"R2 of Eq. 4 at every replay ratio on {PLAIN[role]}",
                _least([found[role]["r2"] for found in fits.values()]),
                R2,
                show=lambda value: fixed(value, 4),
            ),
            statement(
                Cell(
                    f"the shift shrinks from each replay ratio to the next on {PLAIN[role]}",
                    f"the fitted shift shrinks from each replay ratio to the next, {SETS[role]}",
                ),
                _falls([found[role]["shift"] for found in fits.values()]),
            ),
        ]
    return Claims(
        r"Equation~\ref{eq:law} fitted separately at each share of \Dpt{} in CPT; the curves of PT belong to every fit."
        " Below, the shift terms that the fits have. To see: whether the law holds at each ratio, and how the shift"
        " shrinks as more is replayed.",
        "the fitted equations at 33, 50 and 67\\,\\% replay, without $R^2$. Which equation belongs to which ratio is"
        " inferred from the sizes of their shifts, so their order is no independent evidence.",
        checks,
        [_sizes(material, fits, role) for role in SETS],
    )


def _sizes(material: Material, fits: dict[str, Any], role: str) -> str:
    shifts = ", ".join(f"{number(found[role]['shift'], 3).latex} ({ratio}\\,\\%)" for ratio, found in fits.items())
    slope = material.pick("fig12", "trend", role, "slope")
    return (
        f"Fitted shift on {SETS[role]} at the end of the longest CPT, by replay ratio: {shifts} nats. Its size changes"
        f" by {number(slope, 3).latex} nats per unit of the ratio (a line through these values)."
    )


def _least(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if known and len(known) == len(values) else None


def _falls(shifts: list[float]) -> bool:
    """Whether the sizes, in the order of the ratios, shrink."""
    return len(shifts) > 1 and all(abs(one) > abs(two) for one, two in pairwise(shifts))
