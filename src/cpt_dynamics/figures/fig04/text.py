"""What Figure 4 shows: CPT as a slide between two loss surfaces."""

from cpt_dynamics.figures.kit.latex import Cell, fixed
from cpt_dynamics.reporting.checks import Check, Claims, statement
from cpt_dynamics.reporting.figures.statements import sentence
from cpt_dynamics.reporting.material import Material


def claims(material: Material) -> Claims:
    result = material.result("fig04")
    checks = [statement(sentence(check["text"]), check["holds"]) for check in result["checks"]]
    share = Check(
        "share of the limit $B$ of the shift that the run of (a) has reached at the end of CPT",
        "share of B that the shift has reached at the end of CPT",
        result["share_of_limit"],
        0.0,
        1.0,
        show=lambda value: fixed(value, 2),
        printed=Cell("between the surfaces"),
    )
    limit, gap = fixed(result["limit"], 3), fixed(result["shift_at_the_end"], 3)
    note = (
        f"By the law, the shift of the run in (a) is {gap.latex} nats at the end of CPT, and $B$, its limit for"
        f" endless CPT, {limit.latex} nats."
    )
    if not result["shifted_is_limit"]:
        note += (
            " Runs of this length do not determine so far a limit; the upper surface is drawn"
            f" {fixed(result['lifted'], 3).latex} nats above the lower one, which is the shift at {result['longer']}"
            " times the forward area of the longest CPT in the figure."
        )
    return Claims(
        r"The loss on \Dpt{} by the law fitted for Figure~3. (a) The surface of pre-training over the forward and the"
        " annealing area, the same surface lifted by the shift, and one PT and CPT as a path: along the lower"
        " surface, and towards the upper one after the transfer. (b) The same along the forward area at a constant"
        " learning rate, for three points of transfer. (c) Along the annealing area, for checkpoints of three loss"
        " potentials. No run is drawn. To see: the path leaves one surface and approaches the other, and a"
        " checkpoint of higher loss potential has more annealing ahead of it.",
        "such surfaces and views, without numbers.",
        [share, *checks],
        [note],
    )
