"""Curves of the final loss against a hyper-parameter of CPT, one for each length of it (Figs. 5 and 7)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.lengths import Length
from cpt_dynamics.figures.kit.printed.ranges import Compared

LENGTHS: tuple[style.Look, ...] = (  # of CPT, from the shortest on
    {"color": style.SKY, "marker": "o"},
    {"color": style.BLUE, "marker": "s"},
    {"color": style.ORANGE, "marker": "^"},
    {"color": style.VERMILION, "marker": "D"},
    {"color": style.PURPLE, "marker": "v"},
)
STAR: style.Look = {"marker": "*", "ms": 10, "mec": style.BLACK, "mew": 0.5, "ls": "", "zorder": 4}
DOT: style.Look = {"ls": "", "marker": "o", "ms": 4.2, "mfc": "white", "mec": style.BLACK, "mew": 0.9, "zorder": 5}
BAND: style.Look = {"color": style.GREY, "alpha": 0.13, "lw": 0, "zorder": 0}


def lengths(
    ax: Axes, panel: str, found: Sequence[Length], role: Role, unit: float, handles: dict[str, Artist]
) -> list[pd.DataFrame]:
    """Final losses against a knob (drawn times `unit`), a curve for each length of CPT with a star at its best."""
    tables = []
    for length, look in zip(found, LENGTHS, strict=False):
        name = f"CPT of {length.steps:,} steps"
        x, best = unit * np.array(length.values), length.best[role]
        (handles[name],) = ax.plot(x, length.loss[role], lw=1.1, ms=2.6, mew=0, **look)
        (star,) = ax.plot([unit * best.value], [best.loss], **{**STAR, "mfc": style.YELLOW})
        tables.append(style.long(panel, role, name, x, length.loss[role]))
        tables.append(style.long(panel, "best", name, [unit * best.value], [best.loss]))
    handles["lowest loss"] = star
    return tables


def printed_range(ax: Axes, compared: Compared, handles: dict[str, Artist]) -> None:
    """A band over the range of losses that the paper's panel shows."""
    handles["range in the paper"] = ax.axhspan(*compared.printed, **BAND)
