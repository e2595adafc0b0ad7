"""How commands print numbers, tables and notes."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

PAGE = 100  # columns of printed text
MANY = 4  # runs named in a note, above which they are counted
ERRORS = {  # of `fitting.measure`, as heads of a table
    "r2": "R2",
    "mae": "MAE",
    "rmse": "RMSE",
    "mean_relative_error": "mean error",
    "worst_relative_error": "worst error",
}


def number(value: float | None, most: int = 4) -> str:
    """Significant digits; "-" for what is not known."""
    return "-" if value is None or not np.isfinite(value) else f"{value:.{most}g}"


def percent(value: float | None) -> str:
    """A fraction as a percentage of three significant digits."""
    return "-" if value is None or not np.isfinite(value) else f"{digits(100 * value)}%"


def digits(value: float | None) -> str:
    """Three significant digits, zeros among them."""
    return "-" if value is None or not np.isfinite(value) else f"{value:#.3g}".rstrip(".")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of a table whose first `left` columns are aligned left, and the last one too if its head ends in a blank.

    A last column aligned left is wrapped so that the table stays within the page.
    """
    cells = [list(header), *(list(row) for row in rows)]
    text = header[-1].endswith(" ")
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    before = sum(widths[:-1]) + 2 * (len(widths) - 1)
    lines = []
    for row in cells:
        parts = [
            cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        if text:
            last = textwrap.wrap(row[-1], max(PAGE - before, 20), break_long_words=False) or [""]
            lines.append("  ".join([*parts[:-1], last[0]]).rstrip())
            lines += [" " * before + line for line in last[1:]]
        else:
            lines.append("  ".join(parts).rstrip())
    return lines


def bullets(lines: Iterable[str]) -> list[str]:
    """Each line behind a dash, wrapped."""
    return [part for line in lines for part in indented("- ", line)]


def indented(head: str, text: str) -> list[str]:
    """A text behind a head, wrapped, with the later lines under the first one's text."""
    room = PAGE - len(head)
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    return [head + lines[0], *(" " * len(head) + line for line in lines[1:])]


def together(notes: Iterable[str], runs: Sequence[str]) -> list[str]:
    """Notes in which runs that share one are named together."""
    by_text: dict[str, list[str]] = {}
    for note in notes:
        run = next((run for run in runs if note.startswith(f"{run}: ")), None)
        text = note if run is None else note[len(run) + 2 :]
        by_text.setdefault(text, [])
        by_text[text] += [] if run is None else [run]
    return [f"{_names(found, runs)}: {text}" if found else text for text, found in by_text.items()]


def _names(runs: Sequence[str], known: Sequence[str]) -> str:
    if len(runs) == len(known) > 1:
        return "every run"
    return ", ".join(runs) if len(runs) <= MANY else f"{', '.join(runs[: MANY - 1])} and {len(runs) - MANY + 1} more"


def error_table(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """A table of `fitting.measure`; R2, MAE and RMSE in nats, the other errors in %."""
    return table(
        ("errors", "rows", *ERRORS.values()),
        [(name, f"{errors['n']:,.0f}", *error_cells(errors)) for name, errors in rows],
    )


def error_cells(errors: Mapping[str, float | None]) -> list[str]:
    """R2, MAE, RMSE, mean and worst relative error as text."""
    r2, *absolute = (errors.get(name) for name in ERRORS)
    nats, relative = absolute[:2], absolute[2:]
    shown = "-" if r2 is None else f"{r2:.5f}"
    return [shown, *(digits(value) for value in nats), *(percent(value) for value in relative)]
