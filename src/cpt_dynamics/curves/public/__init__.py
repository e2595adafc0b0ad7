"""Public loss curves: three sets that others measured, each in a module of its own.

    multi-power    Luo et al., arXiv 2503.12811: nine LR schedules at three model sizes
    lr-scheduling  Schaipp et al., arXiv 2501.18965: one model under 117 schedules at five peak LRs
    delphi         the Marin project: continual pre-training on mathematics, eight bases, replay and peak LRs

No curve is part of this repository: `fetch` of a set brings it, `read` gives its tables, and data/published/ says which
files they are and under which licence. What stands here without the name of a set is of the first one.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cpt_dynamics.curves.public import delphi, lr_scheduling, multi_power
from cpt_dynamics.curves.public.fetching import VARIABLE, Curves, Home
from cpt_dynamics.curves.public.multi_power import (
    FOLDER,
    PUBLISHED,
    Published,
    combined,
    fetch,
    lr,
    of_size,
    published,
    read_multi_power,
)
from cpt_dynamics.errors import UserError

__all__ = [
    "FOLDER",
    "PUBLISHED",
    "SETS",
    "VARIABLE",
    "Curves",
    "Home",
    "Published",
    "Set",
    "combined",
    "fetch",
    "folder_of",
    "lr",
    "of_size",
    "published",
    "read",
    "read_multi_power",
]

FETCHED = Path("data/public")


@dataclass(frozen=True)
class Set:
    """A set of public curves.

    folder : its name under `data/public` and in the folder that CPT_DYNAMICS_PUBLIC_CURVES names
    facts : the file of what is published about it
    fetch : brings it: fetch(target, source=None, path=facts) -> path of source.json
    read : gives its tables: read(folder, path=facts) -> `Curves`
    """

    folder: str
    facts: Path
    fetch: Callable[..., Path]
    read: Callable[..., Curves]


SETS = {
    "multi-power": Set(FOLDER, PUBLISHED, multi_power.fetch, multi_power.read),
    "lr-scheduling": Set(lr_scheduling.FOLDER, lr_scheduling.PUBLISHED, lr_scheduling.fetch, lr_scheduling.read),
    "delphi": Set(delphi.FOLDER, delphi.PUBLISHED, delphi.fetch, delphi.read),
}


def folder_of(name: str) -> Path:
    """Where the curves of a set are looked for: data/public, or what CPT_DYNAMICS_PUBLIC_CURVES names."""
    given = os.environ.get(VARIABLE)
    return (Path(given) if given else FETCHED) / SETS[name].folder


def read(name: str, folder: str | Path | None = None) -> Curves:
    """The curves, schedules and runs of a set by its name.

    folder : where it is; None takes what was fetched to data/public, or the folder of the set in what
        CPT_DYNAMICS_PUBLIC_CURVES names if the variable is set
    """
    if name not in SETS:
        raise UserError(f"there is no set {name!r} of public curves: choose one of {', '.join(SETS)}")
    chosen = SETS[name]
    if folder is None:
        folder = folder_of(name)
    if not Path(folder).is_dir():
        raise UserError(f"{folder} is no folder: `cpt-dynamics public-curves --set {name}` fetches these curves")
    return chosen.read(folder)
