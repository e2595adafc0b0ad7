"""What Figure 22 shows: errors of the linear combinations."""

from cpt_dynamics.figures.kit.latex import Cell, fixed, number, percent
from cpt_dynamics.reporting.checks import Check, Claims
from cpt_dynamics.reporting.material import Material

SHARE = 0.66  # of the sets
GAIN = 1.0  # median error over that of the better of the two losses alone


def claims(material: Material) -> Claims:
    limit, printed = (material.pick("fig22", key) for key in ("limit", "printed_limit"))
    sets = material.pick("fig22", "sets")
    worst = [found["worst_absolute_error"] for found in sets.values() if found["worst_absolute_error"] is not None]
    return Claims(
        "Absolute errors of the linear combinations on held-out runs, a box a set (quartiles, whiskers to the 5th and"
        " 95th percentile, over all CPT losses). A diamond is the mean over the runs, a square that of the better of"
        " the two losses alone. To see: how many diamonds are below the dashed line, and how far below its square"
        " each one is.",
        f"errors below {printed:g} nats on its sets, as boxes.",
        [
            Check(
                f"share of the sets with a mean absolute error of at most {limit:g} nats",
                "most sets are predicted",
                material.pick("fig22", "share_within"),
                SHARE,
                show=lambda value: percent(value, 0),
                printed=Cell("all"),
            ),
            Check(
                "median over the sets of the error over that of the better of the two losses alone",
                "two losses predict better than one",
                material.pick("fig22", "gain"),
                upper=GAIN,
                show=lambda value: fixed(value, 3),
            ),
        ],
        [f"The largest single error is {number(max(worst), 2).latex} nats."] if worst else [],
    )
