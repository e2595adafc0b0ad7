"""The words about the planned contrasts."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts.result import Result, SeedNoise
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.latex import escape, number
from cpt_dynamics.figures.kit.text import SETS, Text


def text(data: FigureData, result: Result) -> Text:
    missing = sorted({run for found in result.contrasts.values() for run in found.missing})
    undefined = {name: found.reason for name, found in result.contrasts.items() if found.reason}
    notes = [_noise(found, role) for role, found in result.noise.items() if found.groups]
    if missing:
        notes.append(f"These runs are not there yet: {', '.join(map(escape, missing))}.")
    if result.fits:
        rough = [one for one in result.fits if not one.converged]
        bound = [one for one in result.fits if one.at_bounds]
        notes.append(
            f"Of {len(result.fits)} fits of laws and rivals {len(rough)} did not converge, and {len(bound)} ended with"
            r" a parameter at a bound; \texttt{fits/contrasts.json} has each."
        )
    notes += [f"{escape(name.replace('_', ' ').capitalize())}: {escape(why)}." for name, why in undefined.items()]
    return Text(
        "Contrasts whose bounds were fixed before their runs were trained, each on an axis of its own in the unit"
        " behind its name (noise: seed noise; nats of the two forms of the shift: square nats). A dot is the effect on"
        " one loss, small dots below it are its units (runs, seeds, sizes, ratios or sets), the bar is the interval by"
        " Student's $t$ over them where the contrast has a level, and a dashed line is the margin. Ticks above are what"
        " the effect is with a rival in the place of what is claimed; an arrow stands for one beyond the axis. To see:"
        " on which side of its margin a whole interval lies, and whether a rival does as well. Words, numbers and names"
        r" of rivals are in Table~\ref{tab:table_contrasts}.",
        "no such contrasts.",
        notes,
    )


def _noise(found: SeedNoise, role: Role) -> str:
    apart = number(found.without_offset, 2).latex
    return (
        f"Seed noise of a final loss on {SETS[role]} is {number(found.noise, 2).latex}"
        f" nats, and {apart} without the common offset of each seed, from {len(found.groups)} CPT runs with all seeds."
    )
