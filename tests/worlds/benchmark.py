"""A split of runs whose losses the noise law gives."""

from typing import Any

from cpt_dynamics import curves
from cpt_dynamics.leaderboard import sets
from cpt_dynamics.leaderboard.splits import Split
from worlds.schedules import ALL, EXCESS, features_of, tables


def made() -> sets.Curves:
    """Losses of the noise law on four runs."""
    rows = features_of("noise_excess", EXCESS, ALL)(0.9)
    _, plans = tables(ALL)
    return sets.Curves(rows[list(curves.CURVE_COLUMNS)], plans, "0" * 64)


def split(fit: list[str], test: list[str], **more: Any) -> Split:
    return Split(set="made", kind="schedule", fit=fit, test=test, **more)


FIT, TEST = ["constant0.01", "cosine0.01", "wsd0.01"], ["drop0.01"]
