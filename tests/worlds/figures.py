"""Results of figures from tables in memory, and what every drawing must be."""

from collections.abc import Iterable
from typing import Any, TypeVar, cast

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from cpt_dynamics import claims, figures
from cpt_dynamics.claims.verdicts import Outcome, of_figure
from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.result import FigureResult

R = TypeVar("R", bound=FigureResult)
Tables = tuple[pd.DataFrame, pd.DataFrame, Config, Experiments]


def figure_data(figure: str, tables: Tables, results: Iterable[FigureResult] = ()) -> FigureData:
    """The inputs of a figure: curves, schedules, configuration, experiments and results of others."""
    curves, schedules, config, experiments = tables
    return FigureData(figure, config, experiments, {found.figure: found for found in results}, (curves, schedules))


def analysed(kind: type[R], tables: Tables, results: Iterable[FigureResult] = ()) -> R:
    """The result of a figure."""
    found = figures.analyse(figure_data(kind.FIGURE, tables, results))
    assert isinstance(found, kind)
    return found


def drawn(result: FigureResult, tables: Tables) -> tuple[Figure, pd.DataFrame]:
    """The drawing of a result and its table."""
    return figures.draw(figure_data(result.figure, tables), result)


def outcomes(result: FigureResult) -> list[Outcome]:
    """All that config/claims.yaml asks of a result."""
    return of_figure(claims.evaluate(claims.load(), {result.figure: result}), result.figure)


def rendered(figure: Figure) -> Any:
    """The renderer of a figure that has been laid out."""
    canvas = cast(Any, FigureCanvasAgg(figure))  # its methods have no types
    canvas.draw()
    return canvas.get_renderer()


def is_on_the_page(figure: Figure) -> None:
    """Nothing is cut off, and no text is too small."""
    with style.context():
        box = figure.get_tightbbox(rendered(figure))  # inches
    width, height = figure.get_size_inches()
    assert width == style.WIDTH
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height
    said = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]
    assert len(said) > 10
    assert min(float(text.get_fontsize()) for text in said) >= style.SMALL
