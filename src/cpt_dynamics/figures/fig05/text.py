"""What Figure 5 shows: the final domain loss against the loss potential of the checkpoint."""

from typing import Any

from cpt_dynamics.figures.kit.latex import Cell, fixed, number, percent
from cpt_dynamics.reporting.checks import Check, Claims, statement
from cpt_dynamics.reporting.material import Material

P = 0.05  # of the test over seeds that the loss does not fall with the potential
ORDER = 0.99  # share of neighbouring potentials in the right order
PREDICTION = 0.01  # largest mean relative error of the predicted final losses


def claims(material: Material) -> Claims:
    panels = material.pick("fig05", "panels")
    checks, notes = [], []
    for found in panels.values():
        checks += _checks(found)
        notes.append(_note(found))
    return Claims(
        r"CPT on \Dcpt{} from checkpoints of several loss potentials (last learning rate of PT over its peak):"
        r" learning rates with the end of PT, \Dcpt{} losses of all seeds, and the final loss that"
        r" Equation~\ref{eq:law} with the coefficients of Figure~3 gives for four lengths of CPT, the lowest starred."
        " Circles are measured final losses (mean over seeds, with their range), to which nothing was fitted. Above:"
        " CPT goes on at the last learning rate and falls linearly to zero; below: it begins at one level for all and"
        r" falls as a cosine. The fall of the loss right after the transfer leaves the panel. To see: whether a higher"
        " potential ends lower, and whether the circles lie on the curve of their length.",
        r"a final \Dcpt{} loss that falls with the loss potential, with and without re-warm-up, for CPT of 20,000 to"
        " 50,000 steps.",
        checks,
        notes,
    )


def _checks(found: dict[str, Any]) -> list[Check]:
    title = found["title"].replace("%", r"\%")
    plain = found["title"]
    trend, best = found["trend"], found["best"]
    return [
        Check(
            rf"change of the final \Dcpt{{}} loss from potential 0 to 1, mean over seeds (nats), {title}",
            f"the final loss falls with the potential {plain}",
            trend["mean"],
            upper=0.0,
            show=lambda value: fixed(value, 3),
            printed=Cell("falls"),
        ),
        Check(
            f"$p$ that it does not fall (one-sided $t$-test over {trend['n']} seeds), {title}",
            f"the fall is clear against seeds {plain}",
            trend["p"],
            upper=P,
            show=lambda value: number(value, 2),
        ),
        Check(
            f"share of neighbouring potentials of which the higher ends lower, {title}",
            f"order of the potentials {plain}",
            found["order"],
            ORDER,
            show=lambda value: percent(value, 0),
            printed=Cell("all"),
        ),
        Check(
            f"mean relative error of the predicted final losses, {title}",
            f"the law predicts the final losses {plain}",
            found["errors"]["mean_relative"],
            upper=PREDICTION,
            show=percent,
        ),
        statement(
            Cell(
                f"the predicted best potential is the measured best {plain}",
                f"the best of the trained potentials is the predicted one, {title}",
            ),
            best["agree"],
        ),
    ]


def _note(found: dict[str, Any]) -> str:
    """Best potentials and errors of one row, in words."""
    best, errors = found["best"], found["errors"]
    share = best["seeds_agreeing"]
    seeds = "" if share is None else rf" (so for {100 * share:.0f}\,\% of the seeds)"
    title = found["title"].replace("%", r"\%")
    return (
        f"{title[0].upper()}{title[1:]}: the lowest final loss is measured at a potential of"
        rf" {100 * best['measured']:g}\,\% and predicted at {100 * best['predicted']:g}\,\%{seeds}; predictions are"
        f" {abs(errors['bias']):.3f} nats too {'high' if errors['bias'] > 0 else 'low'} on average, at worst"
        f" {errors['worst']:.3f} nats off."
    )
