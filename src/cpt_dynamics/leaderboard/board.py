"""The leaderboard: scores by set and entry, as JSON, CSV, Markdown and one page of HTML."""

import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cpt_dynamics import __version__
from cpt_dynamics.leaderboard.scores import AUTO, LEVEL, MEAN, NEAREST, Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = "cpt-dynamics/benchmark/1"
BASELINES = ("annealing_s1_only", "s1_only", "shift_only")  # laws without annealing
COLUMNS = {  # of the tables, with their heads
    "entry": "entry",
    "parameters": "parameters",
    "mean": "mean error",
    "worst": "worst error",
    "end": "end error",
    "bias": "end, signed",
    "skill_s1": "skill over S1 alone",
    "skill_nearest": "skill over nearest run",
    "mean_covered": f"means in {LEVEL:.0%} band",
    "end_covered": f"ends in {LEVEL:.0%} band",
    "rows_covered": f"rows in {LEVEL:.0%} band",
    "regret": "regret of the choice",
}
PERCENT = ("mean", "worst", "end", "bias", "regret")
LEGEND = (
    "Errors are shares of the loss, on rows that no fitted run has: a mean over each predicted run, then over runs,"
    " then over splits; the worst of all rows; the last row's size and its signed mean (above 0: predicted too high)."
    " Skill: the share of another's mean error that is removed. Bands come from fitted curves left out in turn, where"
    " at least five are fitted; where fewer than nine count, those of mean and end rest on Student's t."
    " Regret: how much more the law that the rule chose errs than the best of all laws tried."
)


@dataclass(frozen=True)
class Row:
    """An entry on a set; None where a number is not defined."""

    set: str
    entry: str
    parameters: int | None
    splits: int
    runs: int
    mean: float
    worst: float
    end: float
    bias: float
    skill_s1: float | None
    skill_nearest: float | None
    mean_covered: float | None
    end_covered: float | None
    rows_covered: float | None
    regret: float | None


def board(scores: Sequence[Score]) -> list[Row]:
    """A row for each set and entry, the smallest mean error of a set first."""
    table = pd.DataFrame([asdict(one) for one in scores])
    found = [_row(str(name), str(entry), rows, table) for (name, entry), rows in table.groupby(["set", "entry"])]
    return sorted(found, key=lambda row: (row.set, row.mean))


def _row(name: str, entry: str, rows: pd.DataFrame, table: pd.DataFrame) -> Row:
    of_set = table[table["set"] == name]
    by_split = rows.groupby("split")
    mean = _mean(rows)
    sizes = rows["parameters"].dropna().unique()
    return Row(
        name,
        entry,
        int(sizes[0]) if len(sizes) == 1 else None,
        by_split.ngroups,
        len(rows),
        mean,
        float(rows["worst"].max()),
        float(rows["end"].abs().groupby(rows["split"]).mean().mean()),
        float(by_split["end"].mean().mean()),
        _skill(rows, of_set[of_set["entry"].isin(BASELINES)]),
        _skill(rows, of_set[of_set["entry"] == NEAREST]),
        _covered(rows["mean_inside"]),
        _covered(rows["end_inside"]),
        _covered(rows["rows_inside"]),
        _regret(rows, of_set) if entry == AUTO else None,
    )


def _mean(rows: pd.DataFrame) -> float:
    return float(rows.groupby("split")["mean"].mean().mean())


def _skill(rows: pd.DataFrame, others: pd.DataFrame) -> float | None:
    """The share of the others' mean error that is removed, on the runs of both."""
    both = rows.merge(others, on=["split", "run"], suffixes=("", "_other"))
    if both.empty or both["entry"].eq(both["entry_other"]).all():
        return None
    return 1 - float(both["mean"].mean() / both["mean_other"].mean())


def _covered(inside: pd.Series) -> float | None:
    known = inside.dropna()
    return float(known.astype(float).mean()) if len(known) else None


def _regret(rows: pd.DataFrame, of_set: pd.DataFrame) -> float:
    """The mean over splits of the chosen law's mean error minus that of the best of the laws tried."""
    fitted = of_set[of_set["parameters"].notna() & (of_set["entry"] != AUTO)]
    best = fitted.groupby(["split", "entry"])["mean"].mean().groupby("split").min()
    return float((rows.groupby("split")["mean"].mean() - best).mean())


def to_json(
    scores: Sequence[Score],
    rows: Sequence[Row],
    version: int,
    digests: Mapping[str, str],
    seconds: float,
    left_out: Mapping[str, str],
) -> dict[str, Any]:
    """results.json.

    schema; kit; splits: their version; sha256: of the curves of each set; seconds; left_out: set or split -> why it is
    not there; board: a mapping a row (see `Row`); scores: a mapping an entry and predicted run (see `Score`).
    """
    return {
        "schema": SCHEMA,
        "kit": __version__,
        "splits": version,
        "sha256": dict(digests),
        "seconds": seconds,
        "left_out": dict(left_out),
        "board": [asdict(one) for one in rows],
        "scores": [asdict(one) for one in scores],
    }


def csv(rows: Sequence[Row]) -> str:
    return pd.DataFrame([asdict(one) for one in rows]).to_csv(index=False)


def cells(row: Row) -> list[str]:
    """A row as text, in the order of `COLUMNS`."""
    return [_shown(name, getattr(row, name)) for name in COLUMNS]


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in PERCENT:
        return f"{100 * value:.3g} %"
    if name.endswith("_covered"):
        return f"{value:.0%}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def by_set(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {name: [row for row in rows if row.set == name] for name in dict.fromkeys(row.set for row in rows)}


def markdown(rows: Sequence[Row], version: int) -> str:
    """A table a set."""
    lines = [f"Splits of version {version}. {LEGEND}"]
    for name, of_set in by_set(rows).items():
        lines += ["", f"## {name}: {of_set[0].splits} splits, {of_set[0].runs} predicted runs", ""]
        lines += ["| " + " | ".join(COLUMNS.values()) + " |", "|" + "---|" * len(COLUMNS)]
        lines += ["| " + " | ".join(cells(row)) + " |" for row in of_set]
    return "\n".join(lines) + "\n"


def draw(scores: Sequence[Score]) -> "Figure":
    """Mean errors by entry, a panel a set: a dot a predicted run, a bar at the mean over splits."""
    from matplotlib.figure import Figure

    table = pd.DataFrame([asdict(one) for one in scores])
    names = list(dict.fromkeys(table["set"]))
    entries = {name: table[table["set"] == name]["entry"].nunique() for name in names}
    figure = Figure(figsize=(7.5, 0.24 * sum(entries.values()) + 0.7 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), squeeze=False, height_ratios=[entries[name] + 1 for name in names])[:, 0]
    for panel, name in zip(panels, names, strict=True):
        rows = table[table["set"] == name]
        means = {str(entry): _mean(part) for entry, part in rows.groupby("entry")}
        order = sorted(means, key=lambda entry: means[entry], reverse=True)
        for place, entry in enumerate(order):
            errors = 100 * rows.loc[rows["entry"] == entry, "mean"]
            colour = "C1" if entry in (AUTO, MEAN) else "0.45" if entry in (NEAREST, *BASELINES) else "C0"
            panel.plot(errors, np.full(len(errors), place), ".", color=colour, alpha=0.35, markersize=4)
            panel.plot([100 * means[entry]] * 2, [place - 0.35, place + 0.35], color=colour, linewidth=2)
        panel.set_yticks(range(len(order)), order, fontsize=7)
        panel.set_xscale("log")
        panel.set_title(name, loc="left", fontsize=9)
        panel.grid(axis="x", alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("mean relative error of a predicted run (%)")
    return figure


STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:75em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}th,td{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd}
th{font-weight:600;vertical-align:bottom}th:first-child,td:first-child{text-align:left;white-space:nowrap}
tr.own td{background:#fff4e5}svg{max-width:100%;height:auto}code{font-size:.85em;overflow-wrap:anywhere}"""


def page(scores: Sequence[Score], rows: Sequence[Row], version: int, digests: Mapping[str, str]) -> str:
    """One page of HTML that stands by itself."""
    drawn = io.StringIO()
    draw(scores).savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Benchmark of laws</title>',
        f"<style>{STYLE}</style></head><body><h1>Benchmark of laws</h1>",
        f"<p>cpt-dynamics {__version__}, splits of version {version}. {html.escape(LEGEND)}</p>",
        svg[svg.index("<svg") :],
    ]
    head = "".join(f"<th>{html.escape(one)}</th>" for one in COLUMNS.values())
    for name, of_set in by_set(rows).items():
        about = f"{of_set[0].splits} splits, {of_set[0].runs} predicted runs"
        parts.append(f"<h2>{html.escape(name)}</h2><p>{about}; curves <code>{digests.get(name, '')}</code></p>")
        body = "".join(_line(row) for row in of_set)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _line(row: Row) -> str:
    marked = ' class="own"' if row.entry in (AUTO, MEAN) else ""
    return f"<tr{marked}>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells(row)) + "</tr>"
