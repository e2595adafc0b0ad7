"""Files of logs as rows of named cells: what each format holds, before it is known which cell means what."""

import csv
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cpt_dynamics.errors import UserError, is_name, short
from cpt_dynamics.files import read_json, reading

Format = Literal["curves", "csv", "wandb", "trainer_state"]

LARGEST = 200_000_000  # bytes of a log, whose rows take some 40 times as much while they are read
NOT_LOGGED = {"", "none", "null", "na", "n/a"}  # a cell without a value; "nan" is a value, and a bad one


@dataclass(frozen=True)
class LogPart:
    """What one file says of one run (of all its runs, where a column names them)."""

    file: str
    format: str
    columns: list[str]
    rows: list[tuple[str, dict[str, Any]]]  # where (for messages), and the cells that hold something
    run: str | None = None  # as the log names it
    default_run: str = ""  # if the log does not
    lr_of_next_step: bool = False
    notes: list[str] = field(default_factory=list)


def format_of(path: Path, stated: Format | None) -> Format:
    """The stated format of a file, or the one that its content shows; `UserError` where it cannot be read."""
    with reading(path, "a log"):
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise UserError(f"{path} is a folder: name the file in it, such as trainer_state.json")
        if not stat.S_ISREG(found.st_mode):
            raise UserError(f"{path} is a device or pipe, which cannot be read twice: name a file")
        if found.st_size > LARGEST:
            size = f"{found.st_size / 1e6:,.0f} MB, and at most {LARGEST / 1e6:,.0f} MB are read"
            raise UserError(f"{path} has {size}: leave out columns, or keep every tenth row")
        with open(path, "rb") as handle:
            head = handle.read(65536)
    if not is_name(path.name):
        raise UserError(f"{path} has no name that can be printed: rename the file")
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    if not text:
        raise UserError(f"{path} is empty: it holds no loss")
    if stated is not None:
        return stated
    if head.startswith(b"PAR1") or path.suffix == ".parquet":
        return "curves"
    if text[0] in "{[" or path.suffix == ".json":
        return "trainer_state"
    header = text.splitlines()[0]
    if path.suffix not in (".csv", ".tsv") and not any(sign in header for sign in ",;\t"):
        raise UserError(f"{path} is in no known format: give a CSV, a trainer_state.json or a curve table (parquet)")
    return "wandb" if " - " in header else "csv"


def read_csv(path: Path) -> list[LogPart]:
    """One part with the columns of the header."""
    header, lines = _csv_lines(path)
    rows = [(f"{path}, line {number}", _logged(zip(header, cells, strict=True))) for number, cells in lines]
    return [LogPart(str(path), "csv", [name for name in header if name], rows, default_run=path.stem)]


def read_wandb(path: Path) -> list[LogPart]:
    """One part for every run of the export, each with the columns that all share (the x axis)."""
    header, lines = _csv_lines(path)
    whole = [(f"{path}, line {number}", _logged(zip(header, cells, strict=True))) for number, cells in lines]
    named = [name for name in header if not name.endswith(("__MIN", "__MAX"))]
    # The run may have " - " in its name, the metric hardly.
    split = {name: name.rsplit(" - ", 1) for name in named if " - " in name}
    shared = {name: name for name in named if name and name not in split}
    if not split:
        raise UserError(f"{path} has no column like '<run> - <metric>': is it a plain CSV (option format)?")
    parts = []
    for run in dict.fromkeys(run for run, _ in split.values()):
        own = {name: metric for name, (other, metric) in split.items() if other == run}
        metrics = own | shared
        rows = [
            (place, {metrics[name]: cell for name, cell in cells.items() if name in metrics}) for place, cells in whole
        ]
        spread = sum(cells.get(f"{name}__MIN") != cells.get(f"{name}__MAX") for _, cells in whole for name in own)
        notes = [f"{run}: {spread:,} values are means over steps (their __MIN and __MAX differ)"] if spread else []
        parts.append(
            LogPart(str(path), "wandb", list(dict.fromkeys(metrics.values())), rows, run, path.stem, False, notes)
        )
    return parts


def _csv_lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header and the non-empty lines with their numbers; every line must have as many cells as the header."""
    with (
        reading(path, "a CSV", "give text in UTF-8 with a header"),
        open(path, encoding="utf-8-sig", newline="") as log,
    ):
        first = next((line for line in log if line.strip()), "")
        sign = next((sign for sign in "\t;" if sign in first and "," not in first), ",")
        log.seek(0)
        reader = csv.reader(log, delimiter=sign, strict=True)
        lines = [(reader.line_num, [c.strip() for c in cells]) for cells in reader if any(c.strip() for c in cells)]
    if len(lines) < 2:
        raise UserError(f"{path} is empty: it needs a header and at least one row")
    header = lines[0][1]
    twice = [name for name, times in Counter(header).items() if name and times > 1]
    if twice:
        raise UserError(f"{path} has two columns {short(twice[0])}: rename or remove one")
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise UserError(f"{path}, line {number} has {len(cells)} cells, the header {len(header)}: mend the line")
    return header, lines[1:]


def read_trainer_state(path: Path) -> list[LogPart]:
    """One part with a row for each entry of `log_history`."""
    state = read_json(path, "is it a whole trainer_state.json?", nan=True)
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise UserError(f"{path} has no log_history: give the trainer_state.json of Hugging Face Trainer")
    # `train_loss` is the mean over the whole training, logged once at its end.
    rows = [
        (f"{path}, log_history[{i}]", _logged((name, cell) for name, cell in entry.items() if name != "train_loss"))
        for i, entry in enumerate(history)
    ]
    if not rows:
        raise UserError(f"{path} is empty: its log_history has no entry")
    folder = path.resolve().parent
    if folder.name.startswith("checkpoint-"):
        folder = folder.parent
    name = folder.name if path.stem == "trainer_state" else path.stem
    columns = list(dict.fromkeys(name for _, cells in rows for name in cells))
    old = "best_global_step" not in state
    return [LogPart(str(path), "trainer_state", columns, rows, default_run=name, lr_of_next_step=old)]


def _logged(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The cells that hold something."""
    return {name: cell for name, cell in cells if name and cell is not None and str(cell).lower() not in NOT_LOGGED}
