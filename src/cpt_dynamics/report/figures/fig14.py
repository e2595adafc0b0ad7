"""What Figure 14 shows: the shift of several model sizes."""

from typing import Any

from cpt_dynamics.figures.kit.latex import Cell, fixed, number, percent
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material

OVERLAP = 0.2  # largest mean distance between the shifts of the sizes, relative to the shift
SLOPE = 0.2  # largest relative change of the mean shift from the smallest to the largest size


def claims(material: Material) -> Claims:
    checks, notes = [], []
    for role, found in material.pick("fig14", "sets").items():
        checks += [
            Check(
                f"mean distance between the shifts of the sizes over their size, {SETS[role]}",
                f"shifts of the model sizes overlap on {PLAIN[role]}",
                found["spread"]["relative"],
                upper=OVERLAP,
                show=lambda value: percent(value, 1),
                printed=Cell("overlap"),
            ),
            Check(
                f"relative change of the mean shift over the range of sizes, {SETS[role]}",
                f"the mean shift does not change with the model size on {PLAIN[role]}",
                found["size"]["slope"],
                -SLOPE,
                SLOPE,
                show=lambda value: number(value, 2),
            ),
        ]
        notes.append(_note(found, role))
    theirs = {p["role"]: p["parameters"] for p in material.published["shifts"] if p["figure"] == "fig14"}
    forms = " and ".join(f"${p['B']}\\,[1-(1+{p['E']}\\,s)^{{-{p['beta']}}}]$" for p in theirs.values())
    return Claims(
        "The distribution shift (CPT loss minus the hidden pre-training loss of the same model) at constant learning"
        r" rate for several model sizes, with one power form (Eq.~\ref{eq:shift}) for all of them. To see: whether the"
        " curves of the sizes lie on each other.",
        rf"overlapping curves of 106M, 594M and 1720M parameters and one form for all, {forms} (magnitudes on \Dpt{{}}"
        r" and \Dcpt{}).",
        checks,
        notes,
    )


def _note(found: dict[str, Any], role: str) -> str:
    size = found["size"]
    interval = ""
    if size["low"] is not None:
        interval = f" (90\\,\\% interval {number(size['low'], 2).latex} to {number(size['high'], 2).latex})"
    return (
        f"On {SETS[role]} one form for all sizes has $R^2$ {fixed(found['form']['r2'], 3).latex}. The relative change"
        f" over the sizes is {number(size['slope'], 2).latex}{interval}, from {size['n']} runs: one a size."
    )
