"""What Figure 2 shows: the shift of several transfer points."""

from cpt_dynamics.figures.kit.latex import Cell, fixed, number, percent
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material

OVERLAP = 0.2  # largest mean distance between the shifts of the transfer points, relative to the shift
SHIFT_R2 = 0.95  # of the power form
TREND = 0.3  # largest relative change of the shift with the transfer point
CHANCE = 0.05


def claims(material: Material) -> Claims:
    checks = []
    printed = {(p["role"], p["form"]): p for p in material.published["shifts"] if p["figure"] == "fig02"}
    for role, found in material.pick("fig02", "sets").items():
        power, exponential = (found["forms"]["phase_step"][form]["r2"] for form in ("power", "exponential"))
        theirs = [number(printed[role, form]["r2"], 3) for form in ("power", "exponential")]
        gain = None if power is None or exponential is None else power - exponential
        checks += [
            Check(
                f"mean distance between the shifts of the transfer points over their size, {SETS[role]}",
                f"shifts of the transfer points overlap on {PLAIN[role]}",
                found["spread"]["relative"],
                upper=OVERLAP,
                show=lambda value: percent(value, 1),
                printed=Cell("overlap"),
            ),
            Check(
                f"$R^2$ of the power form of the shift (Eq.~\\ref{{eq:shift}}), {SETS[role]}",
                f"R2 of the power form on {PLAIN[role]}",
                power,
                SHIFT_R2,
                show=lambda value: fixed(value, 3),
                printed=theirs[0],
            ),
            Check(
                f"$R^2$ of the power form minus that of the exponential form, {SETS[role]}",
                f"the power form explains more than the exponential on {PLAIN[role]}",
                gain,
                0.0,
                show=lambda value: number(value, 2),
                printed=Cell(f"{theirs[0].text} against {theirs[1].text}"),
            ),
            Check(
                f"change of the shift from a transfer at the start to one at the end, over the shift, {SETS[role]}",
                f"the shift does not change with the transfer point on {PLAIN[role]}",
                found["transfer"]["slope"],
                -TREND,
                TREND,
                show=lambda value: number(value, 2),
            ),
            Check(
                f"$p$ that the exponential form predicts a transfer that it was not fitted to as well, {SETS[role]}",
                f"the power form predicts transfers better on {PLAIN[role]}",
                found["power_gain"]["p"],
                upper=CHANCE,
                show=lambda value: number(value, 2),
            ),
        ]
    return Claims(
        "The distribution shift (CPT loss minus hidden pre-training loss) at constant learning rate for"
        " several transfer points, with the forms fitted to all of them but one (open diamonds), which they predict."
        " To see: whether the curves lie on each other, and which form follows them.",
        "overlapping curves that the power form fits better than the exponential.",
        checks,
    )
