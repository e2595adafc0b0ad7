"""The words about Figure 16."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig16.result import Result
from cpt_dynamics.figures.kit.latex import escape
from cpt_dynamics.figures.kit.text import SETS, Text, printed_shifts, warned


def text(data: FigureData, result: Result) -> Text:
    return Text(
        r"Equation~\ref{eq:law} fitted to each of the larger models separately. To see: whether the law holds at each"
        " size, and whether the coefficients of the shift and of annealing change with it.",
        r"the fitted equations for 594M and 1720M parameters, without $R^2$. Their shift terms,"
        rf" {', '.join(printed_shifts('fig16'))} (\Dpt{{}} and \Dcpt{{}} of the one size, then of the other), have very"
        r" small exponents on \Dpt{}, where only the product of $B$ and $\beta$ is determined.",
        [
            note
            for model, by_role in result.fits.items()
            for role, found in by_role.items()
            for note in warned(found.fit, f"The fit of {escape(model)} on {SETS[role]}")
        ],
    )
