"""The words about Figure 5."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig05.result import PotentialPanel, Result
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: Result) -> Text:
    return Text(
        r"CPT on \Dcpt{} from checkpoints of several loss potentials (last learning rate of PT over its peak):"
        r" learning rates with the end of PT, \Dcpt{} losses of all seeds, and the final loss that"
        r" Equation~\ref{eq:law} with the coefficients of Figure~3 gives for four lengths of CPT, the lowest starred."
        " Circles are measured final losses (mean over seeds, with their range), to which nothing was fitted. Above:"
        " CPT goes on at the last learning rate and falls linearly to zero; below: it begins at one level for all and"
        r" falls as a cosine. The fall of the loss right after the transfer leaves the panel. To see: whether a higher"
        " potential ends lower, and whether the circles lie on the curve of their length.",
        r"a final \Dcpt{} loss that falls with the loss potential, with and without re-warm-up, for CPT of 20,000 to"
        " 50,000 steps.",
        [_note(panel) for panel in result.panels.values()],
    )


def _note(found: PotentialPanel) -> str:
    """Best potentials and errors of one row, in words."""
    best, errors = found.best, found.errors
    share = best.seeds_agreeing
    seeds = "" if share is None else rf" (so for {100 * share:.0f}\,\% of the seeds)"
    title = found.title.replace("%", r"\%")
    return (
        f"{title[0].upper()}{title[1:]}: the lowest final loss is measured at a potential of"
        rf" {100 * best.measured:g}\,\% and predicted at {100 * best.predicted:g}\,\%{seeds}; predictions are"
        f" {abs(errors.bias):.3f} nats too {'high' if errors.bias > 0 else 'low'} on average, at worst"
        f" {errors.worst:.3f} nats off."
    )
