"""What Figure 1 shows: CPT between its hidden curves."""

from cpt_dynamics.figures.kit.latex import Cell, escape, fixed
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material


def claims(material: Material) -> Claims:
    checks = []
    for column in material.pick("fig01", "columns"):
        for role, found in column["sets"].items():
            checks.append(
                Check(
                    f"share of the way from the hidden curve to training from scratch that "
                    f"{escape(column['cpt'])} has gone at its end, {SETS[role]}",
                    f"{column['cpt']} lies between its hidden curves on {PLAIN[role]}",
                    found["moved"],
                    0.0,
                    1.0,
                    show=lambda value: fixed(value, 3),
                    printed=Cell("in between"),
                )
            )
    return Claims(
        r"Losses of a pre-training that stays on \Dpt{}, of the same run continued on \Dcpt{}, and of"
        r" training on \Dcpt{} from scratch under the same learning rates. To see: whether the CPT curve"
        " leaves the first and moves towards the last after the transfer, on both validation sets.",
        "such curves, without numbers, with the CPT loss between the two hidden curves.",
        checks,
    )
