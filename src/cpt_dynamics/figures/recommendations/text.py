"""The words about the trained recommendations."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.latex import escape, fixed
from cpt_dynamics.figures.kit.text import Text
from cpt_dynamics.figures.recommendations.result import Result, Trained

KNOBS = {"peak_lr": "Peak LR", "replay": "Replay ratio", "potential": "Loss potential"}


def text(data: FigureData, result: Result) -> Text:
    regret = result.regret
    notes = [
        f"{regret.n - regret.new} of {regret.n} recommendations are values of the grid, so that their"
        " regret is that of a grid point; the mean regret of the others is"
        f" {fixed(regret.mean_new, 4).latex} nats."
    ]
    if regret.worst_over_noise is not None:
        notes.append(
            f"Over the standard deviation of the goal from seed to seed, the mean regret is"
            f" {fixed(regret.mean_over_noise, 2).latex} and the worst {fixed(regret.worst_over_noise, 2).latex}."
        )
    for knob, found in result.knobs.items():
        outcomes = "; ".join(map(_outcome, found.recommendations))
        notes.append(f"{KNOBS[knob]}: {outcomes}. Fitted to {escape(', '.join(found.fitted))}.")
    return Text(
        "Recommendations put to the test. For the peak learning rate, the replay ratio and the loss potential a small"
        " grid of runs is trained (dots) that no fit of that knob has seen. Laws fitted to other runs predict the goal,"
        r" $w_1$ times the \Dpt{} loss plus $1-w_1$ times the \Dcpt{} loss at the end of CPT, over the range of the"
        " grid (lines), and recommend its lowest point (open star), which is then trained, too (filled star). Goals"
        " are drawn as distances from the best of the grid; below zero the recommendation beats it. To see: whether"
        " the filled stars lie at zero or below, and whether the lines follow the dots.",
        "optima of the fitted law only (its Figure~8), none of them trained.",
        notes,
    )


def _outcome(one: Trained) -> str:
    """Value, measured goal and regret of one recommendation."""
    best = one.best_of_grid
    predicted, goal, regret, lowest = (
        fixed(value, 4).latex for value in (one.predicted.goal, one.goal, one.regret, best.goal)
    )
    return (
        f"$w_1={one.weight:g}$: recommended {100 * one.value:.3g}\\,\\%, goal predicted {predicted} and measured"
        f" {goal}, best of the grid {lowest} at {100 * best.value:.3g}\\,\\%, regret {regret}"
    )
