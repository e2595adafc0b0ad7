"""Figures as files: the same input gives the same bytes."""

from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from cpt_dynamics import files
from cpt_dynamics.figures.kit import style

NO_PDF_METADATA = {"Creator": None, "Producer": None, "CreationDate": None}
NO_PNG_METADATA = {"Software": None}


def save(figure: Figure, table: pd.DataFrame, folder: str | Path, name: str | None = None) -> list[Path]:
    """Write `<name>.pdf`, `<name>.png` (150 dpi) and `<name>.csv` (what is drawn), each whole or not at all.

    name: None takes the figure's label, which `plots.draw` sets to the name of the figure.
    """
    name = name or str(figure.get_label())
    if not name:
        raise ValueError("the figure has no label: give a name")
    pdf, png, csv = (Path(folder) / f"{name}.{kind}" for kind in ("pdf", "png", "csv"))
    with style.context():
        _freeze(figure)
        with files.atomic(pdf) as temporary:
            FigureCanvasPdf(figure).print_figure(temporary, format="pdf", metadata=NO_PDF_METADATA)
        with files.atomic(png) as temporary:
            FigureCanvasAgg(figure).print_figure(temporary, format="png", dpi=150, metadata=NO_PNG_METADATA)
    with files.atomic(csv) as temporary:
        table.to_csv(temporary, index=False, float_format="%.8g", lineterminator="\n")
    return [pdf, png, csv]


def _freeze(figure: Figure) -> None:
    """Lay the figure out once and round the places of its panels.

    The layout's solver repeats itself only up to the last digit, which would show in the files.
    """
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    figure.set_layout_engine(None)  # with "none" the canvas would draw once more for a layout
    for ax in figure.axes:
        left, bottom, width, height = (round(float(value), 6) for value in ax.get_position().bounds)
        ax.set_position((left, bottom, width, height))
