"""The words about the noise of seeds."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.latex import number
from cpt_dynamics.figures.kit.text import SETS, Text
from cpt_dynamics.figures.seeds.result import Result


def text(data: FigureData, result: Result) -> Text:
    notes = [_note(result, role) for role in SETS if result.noise[role] is not None]
    if not result.groups:
        notes.append("No run was trained with several seeds at this scale.")
    return Text(
        "Losses of runs that were trained with several seeds, which change the initial weights and the order of the"
        " data. Above: final losses minus their mean over seeds; the band is their pooled standard deviation; diamonds"
        r" are Eq.~\ref{eq:law} fitted to the runs of Figure~3 with the first seed. Below: that deviation along CPT"
        " (dashed: at the end), and the coefficients fitted to each seed over their mean, with two products of them"
        " that losses determine better. To see: how large a"
        " difference between two runs must be to mean anything, and which coefficients another seed moves.",
        "one seed a run, without a word on noise.",
        notes,
    )


def _note(result: Result, role: Role) -> str:
    """The noise in nats, and how it divides into an offset of whole curves and a residual."""
    noise, offset, residual, chance = (
        number(None if value is None else 1e3 * value, 2).latex
        for value in (result.noise[role], result.offset[role], result.residual[role], result.offset_by_chance[role])
    )
    return (
        f"On {SETS[role]} the standard deviation of a final loss over seeds is {noise} ($10^{{-3}}$ nats). Whole CPT"
        f" curves lie apart by {offset} (of their means) and scatter around that by {residual}; independent scatter"
        f" alone would move the means by {chance}."
    )
