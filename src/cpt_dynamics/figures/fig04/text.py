"""The words about Figure 4."""

from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig04.result import Result
from cpt_dynamics.figures.kit.latex import fixed
from cpt_dynamics.figures.kit.text import Text


def text(data: FigureData, result: Result) -> Text:
    limit, gap, lifted = (fixed(value, 3).latex for value in (result.limit, result.shift_at_the_end, result.lifted))
    note = (
        f"By the law, the shift of the run in (a) is {gap} nats at the end of CPT, and $B$, its limit for endless CPT,"
        f" {limit} nats."
    )
    if not result.shifted_is_limit:
        note += (
            f" Runs of this length do not determine so far a limit; the upper surface is drawn {lifted} nats above the"
            f" lower one, which is the shift at {result.longer} times the forward area of the longest CPT in the"
            " figure."
        )
    return Text(
        r"The loss on \Dpt{} by the law fitted for Figure~3. (a) The surface of pre-training over the forward and the"
        " annealing area, the same surface lifted by the shift, and one PT and CPT as a path: along the lower"
        " surface, and towards the upper one after the transfer. (b) The same along the forward area at a constant"
        " learning rate, for three points of transfer. (c) Along the annealing area, for checkpoints of three loss"
        " potentials. No run is drawn. To see: the path leaves one surface and approaches the other, and a"
        " checkpoint of higher loss potential has more annealing ahead of it.",
        "such surfaces and views, without numbers.",
        [note],
    )
