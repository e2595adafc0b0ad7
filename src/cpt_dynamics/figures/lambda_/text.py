"""The words about the scan of lambda."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.text import Text
from cpt_dynamics.figures.lambda_.result import Result


def text(data: FigureData, result: Result) -> Text:
    return Text(
        r"The error of Eq.~\ref{eq:law} on CPT losses against $\lambda$, the memory of the annealing area:"
        r" fitted, with each fitted run left out in turn, and on the held-out runs. $\lambda$ is fixed before"
        " fitting. To see: what another choice would have given.",
        rf"no such scan: it takes $\lambda={result.paper:g}$ for runs of up to 60,000 steps.",
    )
