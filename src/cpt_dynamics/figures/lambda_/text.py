"""What the scan of lambda shows."""

from cpt_dynamics.figures.kit.latex import fixed
from cpt_dynamics.reporting.checks import Check, Claims
from cpt_dynamics.reporting.material import Material

TOLERANCE = 1.5  # left-out error of the configured lambda, relative to the best one's
PAPER_MEMORY = 1 / 60  # memory of lambda = 0.999 (1,000 steps) over the paper's 60,000 steps
MEMORY_FACTOR = 4  # how far the best memory may be from that share


def claims(material: Material) -> Claims:
    points = material.pick("lambda", "points")
    chosen, paper, best = (material.pick("lambda", key) for key in ("chosen", "paper", "best"))
    errors = {point["lambda"]: point["left_out"] for point in points}
    lengths = material.config.lengths
    total = lengths.pretraining + lengths.continual
    share = 1 / (1 - best) / total
    return Claims(
        r"The error of Eq.~\ref{eq:law} on CPT losses against $\lambda$, the memory of the annealing area:"
        r" fitted, with each fitted run left out in turn, and on the held-out runs. $\lambda$ is fixed before"
        " fitting. To see: what another choice would have given.",
        rf"no such scan: it takes $\lambda={paper:g}$ for runs of up to 60,000 steps.",
        [
            Check(
                f"left-out error of the configured $\\lambda={chosen:.4g}$ over that of the best, {best:.4g}",
                "the configured lambda is close to the best",
                _ratio(errors[chosen], errors[best]),
                upper=TOLERANCE,
                show=lambda value: fixed(value, 2),
            ),
            Check(
                f"left-out error of the configured $\\lambda$ over that of {paper:g}",
                "the configured lambda is better than the paper's at this length",
                _ratio(errors[chosen], errors[paper]),
                upper=1.0,
                show=lambda value: fixed(value, 2),
            ),
            Check(
                r"memory $1/(1-\lambda)$ of the best $\lambda$ over the steps of PT and CPT",
                "the best memory is the paper's share of the run",
                share,
                PAPER_MEMORY / MEMORY_FACTOR,
                PAPER_MEMORY * MEMORY_FACTOR,
                show=lambda value: fixed(value, 4),
                printed=fixed(PAPER_MEMORY, 4),
            ),
        ],
    )


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None
