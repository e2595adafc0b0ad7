"""The words about the public curves."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.latex import escape, number
from cpt_dynamics.figures.kit.text import Text
from cpt_dynamics.figures.public_curves.laws import AUTHORS
from cpt_dynamics.figures.public_curves.result import Result, Size


def text(data: FigureData, result: Result) -> Text:
    return Text(
        "Public pre-training curves of three sizes under nine schedules: laws fitted to three of them (cosine,"
        " constant, two-stage) and their predictions of the other six. To see: how far the annealing law of"
        " Equation~\\ref{eq:law} carries by itself, beside its rivals.",
        "no such comparison; the curves and the numbers of the Multi-Power Law are its authors' (arXiv 2503.12811).",
        [
            *(_note(size, found) for size, found in result.sizes.items()),
            "Many test curves branch off a fitted one, so that up to four fifths of their rows are rows of the"
            " fit; the columns of unseen rows leave those out. One seed a curve: small differences mean little.",
        ],
    )


def _note(size: str, found: Size) -> str:
    """How the warm-up was chosen, and who fits the training rows better."""
    ours, theirs = (number(found.comparison.laws[law].objective, 3).latex for law in ("multi_power", AUTHORS))
    return (
        f"{size}: the warm-up convention with the best training objective is {escape(found.warmup)}, and"
        f" $\\lambda={found.lambda_best:g}$ has the best one of the values tried; the Multi-Power Law fitted to"
        f" convergence has a training objective of {ours} against {theirs} with its authors' parameters."
    )
