"""A table as plain cells, and how it is written as CSV and LaTeX."""

import csv
import io
from dataclasses import dataclass

from cpt_dynamics.figures.kit.latex import Cell
from cpt_dynamics.report.templates import render

BREAK = r"\\"  # between the lines of a heading


@dataclass(frozen=True)
class Table:
    """A table; `columns` are (heading, alignment as in LaTeX); `caption` and `note` are LaTeX."""

    caption: str
    columns: list[tuple[Cell, str]]
    rows: list[list[Cell]]
    note: str = ""


def as_csv(table: Table) -> str:
    """The plain text of a table."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heading.text for heading, _ in table.columns)
    writer.writerows([cell.text for cell in row] for row in table.rows)
    return out.getvalue()


def as_latex(table: Table, label: str) -> str:
    """A `longtable` with the rules of booktabs, to be read with \\input."""
    return render(
        "table",
        align="".join(align for _, align in table.columns),
        caption=table.caption,
        label=label,
        head=" & ".join(_heading(cell) for cell, _ in table.columns),
        rows=[[cell.latex for cell in row] for row in table.rows],
        note=table.note,
    )


def _heading(cell: Cell) -> str:
    lines = cell.latex.split(BREAK)
    return lines[0] if len(lines) == 1 else r"\shortstack{" + BREAK.join(lines) + "}"
