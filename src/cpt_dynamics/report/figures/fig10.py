"""What Figure 10 shows: unseen schedules."""

from cpt_dynamics.figures.kit.latex import escape, fixed, percent
from cpt_dynamics.reporting.checks import PLAIN, SETS, Check, Claims
from cpt_dynamics.reporting.material import Material

PREDICTION = 0.01  # largest mean relative error on the CPT rows of a schedule that was not fitted
GAIN = 0.5  # largest such error relative to that of the law without annealing areas


def claims(material: Material) -> Claims:
    checks = []
    for role, found in material.pick("fig10", "predictions").items():
        for run, compared in found["runs"].items():
            checks += [
                Check(
                    f"mean relative error on the CPT losses of {escape(run)}, {SETS[role]}",
                    f"error of the prediction of {run} on {PLAIN[role]}",
                    compared["law"]["mean_relative_error"],
                    upper=PREDICTION,
                    show=percent,
                ),
                Check(
                    f"the same over that of the law without annealing, {SETS[role]}",
                    f"annealing helps to predict {run} on {PLAIN[role]}",
                    compared["ratio"],
                    upper=GAIN,
                    show=lambda value: fixed(value, 3),
                ),
            ]
    return Claims(
        "Losses predicted for CPT under schedules that were not fitted, from the coefficients of Figure~3"
        " alone, beside the measured ones. To see: whether the prediction follows the schedule.",
        "predicted and measured curves that lie on each other, without a number.",
        checks,
    )
