"""The words about Figure 7."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig07.result import CriticalPoint, Result, Turned
from cpt_dynamics.figures.kit.latex import escape
from cpt_dynamics.figures.kit.statement import sentence
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: Result) -> Text:
    noise = "has no value here" if result.noise is None else f"is {result.noise:.4f} nats"
    return Text(
        r"(a), (b): final losses that Equation~\ref{eq:law} with the coefficients of Figure~3 gives against the peak"
        " learning rate of CPT (WSD to a tenth of the peak, then a cosine to zero), the lowest starred; lengths of CPT"
        r" beyond those trained are extrapolated. (c): measured \Dpt{} losses during CPT, from the transfer on, with"
        " the step from which they stay at or below their start (turning length) and the critical point, the loss on"
        r" \Dpt{} that training on \Dcpt{} from scratch converges to. Part of what a loss falls by is annealing where"
        " the learning rate ends lower than pre-training did. To see: which runs get back to where they started.",
        r"a \Dpt{} loss that rises and a \Dcpt{} loss that falls with the peak learning rate, and a \Dpt{} loss that"
        " gets back to its start where pre-training was short, but not otherwise.",
        [
            _point(result.critical),
            *(_run(name, run) for name, run in result.runs.items()),
            rf"The seed noise of a final \Dpt{{}} loss {noise}.",
        ],
    )


def _point(critical: CriticalPoint) -> str:
    low, high = critical.range
    lowest = min(critical.lowest_measured.values())
    return (
        f"The critical point of the strong domain is {critical.point:.3f} nats ({low:.3f} to {high:.3f} over fits to"
        f" {len(critical.runs)} runs from scratch together and each alone), an extrapolation: the lowest loss"
        f" measured there is {lowest:.3f}; $L_0+B$ of the law of Figure~3 is {critical.by_law:.3f}, where CPT at the"
        rf" peak learning rate reaches {100 * critical.reached:.0f}\,\% of $B$."
    )


def _run(name: str, run: Turned) -> str:
    """Start, end and turning length of a run, in words."""
    turning = "is not back" if run.turning is None else f"stays at or below its start from step {run.turning} on"
    parts = [
        f"{escape(name)} (CPT on {escape(run.domain)} after {run.transfer:,} steps) starts at"
        rf" {run.start:.3f} nats on \Dpt{{}}, ends at {run.final:.3f} and {turning}"
    ]
    law = run.law
    if law is not None:
        along = "does not have it back" if law.turning is None else f"has it back from step {law.turning} on"
        parts.append(f"on this schedule the law {along}; with the schedule stretched, {sentence(law.reason)}")
    return "; ".join(parts) + "."
