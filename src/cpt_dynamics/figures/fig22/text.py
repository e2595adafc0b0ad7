"""The words about Figure 22."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig22.result import Result
from cpt_dynamics.figures.kit.latex import number
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: Result) -> Text:
    return Text(
        "Absolute errors of the linear combinations on held-out runs: their density, and a box a set (quartiles,"
        " whiskers to the 5th and 95th percentile, over all CPT losses). A diamond is the mean over the runs, a square"
        " that of the better of the two losses alone. To see: how many diamonds are below the dashed line, and how far"
        " below its square each one is.",
        f"errors below {result.printed_limit:g} nats on its sets, as boxes.",
        [] if result.largest is None else [f"The largest single error is {number(result.largest, 2).latex} nats."],
    )
