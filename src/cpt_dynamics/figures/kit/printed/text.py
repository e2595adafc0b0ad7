"""The words about figures from printed coefficients."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.figures.kit.printed.sources import PrintedCoefficients, PrintedResult
from cpt_dynamics.figures.kit.statement import sentence
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: PrintedResult) -> Text:
    """What is drawn, and beside it the coefficients, what the paper states and what is assumed."""
    shows = sources.load().figures[data.figure.removeprefix("printed_")].shows
    parts = {
        "Coefficients": [_source(name, source) for name, source in result.coefficients.items()],
        "Stated by the paper": result.stated,
        "Assumed here": result.assumptions,
        "Notes": result.notes,
    }
    items = [
        rf"\item {name}: {sentence('; '.join(line.rstrip('.') for line in lines))}."
        for name, lines in parts.items()
        if lines
    ]
    return Text(
        f"{sentence(shows)} No training: the coefficients are the paper's, the panels are computed.",
        "the same panels; where their axes show a range, it stands beside ours.",
        [r"\begin{itemize}\setlength{\itemsep}{0pt}", *items, r"\end{itemize}"],
    )


def _source(name: str, source: PrintedCoefficients) -> str:
    """Which printed fits a set of coefficients is: "weak: Fig. 12 (A replay 67 %)"."""
    setting = f" ({source.setting})" if source.setting else ""
    return f"{name}: Fig. {int(source.figure.removeprefix('fig'))}{setting}"
