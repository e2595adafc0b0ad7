"""What the figure of the trained recommendations shows."""

from collections.abc import Mapping
from typing import Any

from cpt_dynamics.figures.kit.latex import Cell, escape, fixed
from cpt_dynamics.reporting.checks import Check, Claims
from cpt_dynamics.reporting.material import Material

KNOBS = {"peak_lr": "Peak LR", "replay": "Replay ratio", "potential": "Loss potential"}
MEAN, WORST = 0.01, 0.03  # nats/token, as in config/claims.yaml


def claims(material: Material) -> Claims:
    result = material.result("recommendations")
    regret = result["regret"]
    checks = [
        Check(
            "mean regret of the trained recommendations (nats)",
            "mean regret of the trained recommendations (nats)",
            regret["mean"],
            upper=MEAN,
            show=lambda value: fixed(value, 4),
            printed=Cell("not trained"),
        ),
        Check(
            "worst regret of the trained recommendations (nats)",
            "worst regret of the trained recommendations (nats)",
            regret["worst"],
            upper=WORST,
            show=lambda value: fixed(value, 4),
            printed=Cell("not trained"),
        ),
    ]
    notes = [
        f"{regret['n'] - regret['new']} of {regret['n']} recommendations are values of the grid, so that their"
        " regret is that of a grid point; the mean regret of the others is"
        f" {fixed(regret['mean_new'], 4).latex} nats."
    ]
    if regret["worst_over_noise"] is not None:
        notes.append(
            f"Over the standard deviation of the goal from seed to seed, the mean regret is"
            f" {fixed(regret['mean_over_noise'], 2).latex} and the worst {fixed(regret['worst_over_noise'], 2).latex}."
        )
    for knob, found in result["knobs"].items():
        notes += [
            f"{KNOBS[knob]}: {'; '.join(map(_outcome, found['recommendations']))}. Fitted to"
            f" {escape(', '.join(found['fitted']))}."
        ]
    return Claims(
        "Recommendations put to the test. For the peak learning rate, the replay ratio and the loss potential a small"
        " grid of runs is trained (dots) that no fit of that knob has seen. Laws fitted to other runs predict the goal,"
        r" $w_1$ times the \Dpt{} loss plus $1-w_1$ times the \Dcpt{} loss at the end of CPT, over the range of the"
        " grid (lines), and recommend its lowest point (open star), which is then trained, too (filled star). Goals"
        " are drawn as distances from the best of the grid; below zero the recommendation beats it. To see: whether"
        " the filled stars lie at zero or below, and whether the lines follow the dots.",
        "optima of the fitted law only (its Figure~8), none of them trained.",
        checks,
        notes,
    )


def _outcome(one: Mapping[str, Any]) -> str:
    """Value, measured goal and regret of one recommendation."""
    numbers = (one["predicted"]["goal"], one["goal"], one["regret"])
    predicted, goal, regret = (fixed(value, 4).latex for value in numbers)
    best = one["best_of_grid"]
    return (
        f"$w_1={one['weight']:g}$: recommended {100 * one['value']:.3g}\\,\\%, goal predicted {predicted} and measured"
        f" {goal}, best of the grid {fixed(best['goal'], 4).latex} at {100 * best['value']:.3g}\\,\\%, regret {regret}"
    )
