"""The figures: a folder each with `result`, `analyse`, `draw` and `text`. The folder is the registry.

A figure of one's own is a package of the same form, named by an entry point of the group `cpt_dynamics.figures`.
"""

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import re
from functools import cache
from typing import TYPE_CHECKING

from cpt_dynamics.config import A_NAME, NAME
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.result import FigureResult
from cpt_dynamics.figures.kit.text import Text

if TYPE_CHECKING:  # drawing takes half a second to import
    import pandas as pd
    from matplotlib.figure import Figure

GROUP = "cpt_dynamics.figures"
SHARED = "kit"  # the folder here that is no figure


@cache
def _packages() -> dict[str, str]:
    """Figure -> its package. A name that Python keeps for itself (`lambda`) has an underscore behind it there."""
    found = {m.name.removesuffix("_"): f"{__name__}.{m.name}" for m in pkgutil.iter_modules(__path__) if m.ispkg}
    found.pop(SHARED)
    own = {point.name: point.value for point in importlib.metadata.entry_points(group=GROUP)}
    for name in own:
        if not re.fullmatch(NAME, name):
            raise UserError(f"the entry point {name!r} of the group {GROUP} is no name: {A_NAME}")
    return found | own


def names() -> list[str]:
    """All figures there are."""
    return list(_packages())


def package(figure: str) -> str:
    """The package of a figure; an unknown one raises `UserError`."""
    if figure not in _packages():
        raise UserError(f"there is no figure {figure!r}: choose one of {', '.join(_packages())}")
    return _packages()[figure]


def result_type(figure: str) -> type[FigureResult]:
    """The type of a figure's result."""
    kind: type[FigureResult] = importlib.import_module(f"{package(figure)}.result").Result
    return kind


def analyse(data: FigureData) -> FigureResult:
    """What a figure shows, in numbers; `UserError` where a run is missing."""
    result: FigureResult = importlib.import_module(f"{package(data.figure)}.analyse").analyse(data)
    return result


def draw(data: FigureData, result: FigureResult) -> "tuple[Figure, pd.DataFrame]":
    """The figure, drawn from its curves and its result, and the table of everything that is drawn."""
    figure, table = importlib.import_module(f"{package(data.figure)}.draw").draw(data, result)
    figure.set_label(data.figure)
    return figure, table


def text(data: FigureData, result: FigureResult) -> Text:
    """Caption and notes of a figure in the report; nothing for one without a module `text`."""
    if importlib.util.find_spec(f"{package(data.figure)}.text") is None:
        return Text("")
    written: Text = importlib.import_module(f"{package(data.figure)}.text").text(data, result)
    return written
