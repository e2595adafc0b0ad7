"""The present board in the docs: what a benchmark on all sets gave, and what was aimed at before it was known.

`python -m cpt_dynamics.leaderboard.present RESULTS FITS` writes data/benchmark/board.json from results.json of the
benchmark and fits.json of the paper on the law, and docs/benchmark-board.md from that; without arguments only the page.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd

from cpt_dynamics import files
from cpt_dynamics.leaderboard import fits, results
from cpt_dynamics.leaderboard.board import BASELINES, LEGEND, Row, board, by_part, cells, extent, markdown_table
from cpt_dynamics.leaderboard.fits import Fits
from cpt_dynamics.leaderboard.results import Results
from cpt_dynamics.leaderboard.scores import AUTO, LEVEL, MEAN, MIN_CURVES, NEAREST, Score
from cpt_dynamics.leaderboard.splits import name_of

BOARD = Path("data/benchmark/board.json")
PAGE = Path("docs/benchmark-board.md")
REMEDY = "`python -m cpt_dynamics.leaderboard.present RESULTS FITS` writes it"
SCHEMA: Final = "cpt-dynamics/board/1"
HEAD = {  # entries by column, of which a set has one
    "chosen by rule": (AUTO,),
    "Eq. 1 or 4": ("annealing", "cpt", "cpt_unknown"),
    "Multi-Power Law": ("multi_power", "cpt_multi_power"),
    "S1 alone": BASELINES,
    "nearest run": (NEAREST,),
}
Unit = Literal["%", "nats", "minutes", "groups"]
Value = Callable[[Results, Fits], float | None]


@dataclass(frozen=True)
class Aim:
    """What was aimed at, and what came out.

    low, high: ends of the range that was aimed at, None for no end; neither: reported beside the others. reached: None
    where it cannot be measured.
    """

    what: str
    unit: Unit
    low: float | None
    high: float | None
    reached: float | None

    @property
    def verdict(self) -> str:
        if self.low is None and self.high is None:
            return ""
        if self.reached is None:
            return "not measured"
        kept = (self.low is None or self.low <= self.reached) and (self.high is None or self.reached <= self.high)
        return "reached" if kept else "**missed**"

    @property
    def cells(self) -> list[str]:
        if self.low is None:
            aimed = "" if self.high is None else f"at most {self._shown(self.high)}"
        else:
            aimed = f"{self._shown(self.low)} to {self._shown(self.high)}" if self.high else self._shown(self.low)
        return [self.what, aimed, self._shown(self.reached), self.verdict]

    def _shown(self, value: float | None) -> str:
        if value is None:
            return ""
        if self.unit == "%":
            return f"{100 * value:.3g} %"
        return f"{value:.4f} nats" if self.unit == "nats" else f"{value:.3g} {self.unit}"


@dataclass(frozen=True)
class Board:
    """board.json: rows as of `board.board`; tests: the same of each split name by itself, which is their `set`."""

    schema: Literal["cpt-dynamics/board/1"]
    kit: str
    splits: int
    sha256: dict[str, str]
    cpu_seconds: float
    rows: list[Row]
    tests: list[Row]
    aims: list[Aim]


def made(found: Results, known: Fits) -> Board:
    """The board of the docs from the results of a benchmark and the fits of the noise law."""
    tests = [
        row for name, part in by_test(found.scores).items() for row in board([replace(one, set=name) for one in part])
    ]
    aims = list(measured(found, known))
    return Board(SCHEMA, found.kit, found.splits, found.sha256, found.cpu_seconds, board(found.scores), tests, aims)


def by_test(scores: Sequence[Score]) -> dict[str, list[Score]]:
    parts: dict[str, list[Score]] = {}
    for one in scores:
        parts.setdefault(name_of(one.split), []).append(one)
    return parts


# --- aims -----------------------------------------------------------------------------------------------------------


def measured(found: Results, known: Fits) -> Iterator[Aim]:
    """All aims; their numbers were fixed before this benchmark was run."""
    table = pd.DataFrame([asdict(one) for one in found.scores])
    table["test"] = table["split"].map(name_of)
    for peak in ("1e-4", "5e-4", "1e-3", "2e-3"):
        name = f"lr_scheduling_{peak.replace('-', '')}"
        what = f"124M at {peak}, chosen by rule, mean error; fitted: constant, cosine, one WSD run"
        yield Aim(what, "%", None, 0.0017, _mean(table, f"{name}_three"))
        yield Aim("the same from constant and cosine alone", "%", None, None, _mean(table, f"{name}_two"))
    for peak in ("1e-4", "5e-4"):
        reached = _mean(table, "lr_scheduling_both", start=peak)
        yield Aim(f"124M, 1e-4 and 5e-4 fitted together, mean error at {peak}", "%", None, 0.002, reached)
    for peak, high in (("1e-3", 0.003), ("2e-3", 0.0055)):
        reached = _mean(table, f"lr_scheduling_both_to_{peak.replace('-', '')}")
        yield Aim(f"the same fit, mean error at {peak}, a peak that is not fitted", "%", None, high, reached)
    for size, high in (("25M", 0.0029), ("100M", 0.0040), ("400M", 0.0030)):
        reached = _mean(table, "multi_power", start=f"{size}/", column="mae")
        yield Aim(f"Multi-Power set at {size}, chosen by rule, mean absolute error", "nats", None, high, reached)
    yield from _of_delphi(table, known)
    for entry, called in ((AUTO, "chosen by rule"), (MEAN, "the mean of the rule's candidates")):
        for role, high in (("general", 0.0037), ("strong", 0.0041)):
            what = f"own curves, D_{'pt' if role == 'general' else 'cpt'}, {called}, mean error"
            yield Aim(what, "%", None, high, _mean(table, f"cpu_{role}", entry))
    yield from _coverage(table)
    what = "the whole benchmark, time of processors (ten minutes of two)"
    yield Aim(what, "minutes", None, 20.0, found.cpu_seconds / 60)


def _of(table: pd.DataFrame, test: str, entry: str = AUTO, start: str = "") -> pd.DataFrame:
    return table[(table["test"] == test) & (table["entry"] == entry) & table["run"].str.startswith(start)]


def _mean(table: pd.DataFrame, test: str, entry: str = AUTO, start: str = "", column: str = "mean") -> float | None:
    """Mean over the runs of a split, then over splits; None where there are none."""
    rows = _of(table, test, entry, start)
    return float(rows.groupby("split")[column].mean().mean()) if len(rows) else None


def _of_delphi(table: pd.DataFrame, known: Fits) -> Iterator[Aim]:
    inside, above = _of(table, "delphi_inside"), _of(table, "delphi_above")
    means, largest = inside.groupby("split")["mean"].mean(), inside["run"].str.startswith("1e21/")
    of_largest = set(inside[largest]["split"])
    where = "Delphi, the lowest and the highest of four LRs fitted, mean error at the two between"
    for of_base, high, words in (
        (means[~means.index.isin(of_largest)], 0.0025, "up to 1.9 billion parameters"),
        (means[means.index.isin(of_largest)], 0.0035, "at 3.4 billion"),
    ):
        yield Aim(f"{where}, {words}, the largest of all bases and mixes", "%", None, high, _or_none(of_base.max()))
        yield Aim("the same, their mean", "%", None, None, _or_none(of_base.mean()))
    where = "Delphi, the lowest three of four LRs fitted, error at the end of the highest"
    ends = above["end"].abs()
    yield Aim(f"{where}, the largest of all bases and mixes", "%", None, 0.004, _or_none(ends.max()))
    yield Aim("the same, their mean", "%", None, None, _or_none(ends.mean()))
    what = f"the same, share of ends in a {LEVEL:.0%} band (needs {MIN_CURVES} fitted curves, has three)"
    yield Aim(what, "%", 1.0, None, None)
    best = [one.best for one in known.of("delphi_inside")]
    right = float(sum(one.run == other.run for one, other, _ in best)) if best else None
    what = "Delphi, the best of four LRs named by the noise law from two, groups of base and mix"
    yield Aim(what, "groups", float(len(best)) if best else 14.0, None, right)
    plain = float(sum(one.run == other.run for one, _, other in best)) if best else None
    yield Aim("the same by taking the better one of the two that were fitted", "groups", None, None, plain)


def _coverage(table: pd.DataFrame) -> Iterator[Aim]:
    """Of the entry that the rule chooses, on every set with bands."""
    of_rule = table[table["entry"] == AUTO]
    for (name, kind), rows in of_rule[of_rule["mean_inside"].notna()].groupby(["set", "kind"], sort=False):
        where = f"{name}, peaks above the fitted ones" if kind == "peak LR" else name
        for column, called in (("mean_inside", "means"), ("end_inside", "ends"), ("rows_inside", "rows")):
            what = f"{where}, {called} in the {LEVEL:.0%} band of the fit chosen by rule ({len(rows)} predicted runs)"
            yield Aim(what, "%", 0.8, 0.97, float(rows[column].astype(float).mean()))


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


# --- page -----------------------------------------------------------------------------------------------------------

INTRODUCTION = """# The present board

Made of the results of `cpt-dynamics benchmark` on all sets, kit {kit}, splits of version {splits}; the benchmark took
{minutes:.1f} minutes of processor time. [The benchmark of laws](benchmark.md) says what is fitted and what is measured.
This page and `data/benchmark/board.json` are written by one command, and no number in them by hand:

```
python -m cpt_dynamics.leaderboard.present results/benchmark/results.json results/law-paper/fits.json
```

## What was aimed at, and what came out

The aims were fixed before this benchmark was run, from what had been seen with other code. Lines without an aim are
reported beside the others. {verdicts}

"""
BOARDS = """
## By set

{legend}

Splits of a set are in one table if they have the same entries.
"""
TESTS = """
## By test

Mean error of an entry on the predicted runs of each test by itself; the smallest of a test is bold.
"""


def page(found: Board) -> str:
    counted = [aim.verdict.strip("*") for aim in found.aims]
    verdicts = ", ".join(
        f"{counted.count(one)} {one}" for one in ("reached", "missed", "not measured") if one in counted
    )
    text = INTRODUCTION.format(
        kit=found.kit, splits=found.splits, minutes=found.cpu_seconds / 60, verdicts=f"In all: {verdicts}."
    )
    lines = markdown_table(["what", "aim", "came out", ""], [aim.cells for aim in found.aims])
    lines += BOARDS.format(legend=LEGEND).splitlines()
    for name, of_part in by_part(found.rows).items():
        lines += ["", f"### {name}", "", f"{extent(of_part)}.", "", *markdown_table(*cells(of_part))]
    lines += TESTS.splitlines()
    for name in dict.fromkeys(row.set for row in found.rows):
        of_set = [row for row in found.tests if row.set.startswith(name)]
        lines += ["", f"### {name}, by test", "", *_matrix(name, of_set)]
    return text + "\n".join(lines) + "\n"


def head(found: Board) -> list[str]:
    """The board in a few lines, for a README: mean errors, %, of what was chosen without test curves and of rivals."""
    lines = []
    for name, of_part in by_part(found.rows).items():
        means = {row.entry: row.mean for row in of_part}
        chosen = [next((means[one] for one in entries if one in means), None) for entries in HEAD.values()]
        lines.append([name, str(of_part[0].runs), *("" if mean is None else f"{100 * mean:.2f}" for mean in chosen)])
    return markdown_table(["mean error, %", "predicted runs", *HEAD], lines)


def _matrix(name: str, rows: Sequence[Row]) -> list[str]:
    """Mean errors, %, an entry a line and a test a column."""
    tests = list(dict.fromkeys(row.set for row in rows))
    means = {(row.entry, row.set): row.mean for row in rows}
    least = {test: min(mean for (_, other), mean in means.items() if other == test) for test in tests}
    entries = sorted(
        dict.fromkeys(row.entry for row in rows), key=lambda one: np.mean([means.get((one, t), np.inf) for t in tests])
    )
    lines = []
    for entry in entries:
        known = [(means.get((entry, test)), test) for test in tests]
        shown = ["" if mean is None else f"{100 * mean:.2f}" for mean, _ in known]
        bold = [f"**{text}**" if mean == least[test] else text for text, (mean, test) in zip(shown, known, strict=True)]
        lines.append([entry, *bold])
    return markdown_table(["entry, %", *(test.removeprefix(f"{name}_") for test in tests)], lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("results", type=Path, nargs="?", help="results.json of `cpt-dynamics benchmark --out`")
    parser.add_argument("fits", type=Path, nargs="?", help="fits.json of `cpt-dynamics law-paper --fits`")
    options = parser.parse_args(arguments)
    if options.results:
        known = made(results.read(options.results), fits.read(options.fits))
        files.write_json(BOARD, files.plain(asdict(known)))
    found = files.read_model(Board, BOARD, REMEDY)
    with files.atomic(PAGE) as temporary:
        temporary.write_text(page(found), encoding="utf-8")
    print("\n".join(head(found)))


if __name__ == "__main__":
    main()
