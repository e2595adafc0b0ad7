"""Tables of the paper on the noise law."""

from collections.abc import Callable, Iterable, Sequence

from cpt_dynamics.figures.kit.latex import Cell, escape, fixed
from cpt_dynamics.leaderboard.board import Row, board, by_part, extent
from cpt_dynamics.leaderboard.fits import Fits, SplitFit
from cpt_dynamics.leaderboard.results import Results
from cpt_dynamics.leaderboard.scores import Score
from cpt_dynamics.leaderboard.uses import NOISE, RIVALS, Tested
from cpt_dynamics.report.law_paper.macros import percent, span
from cpt_dynamics.report.table import Table, as_latex

NOTHING = Cell("", "--")
ROLES = {
    NOISE: "noise law",
    "Eq": RIVALS["Eq"],
    "MultiPower": r"Multi-\\Power",
    "Sone": r"S1\\alone",
    "Nearest": r"nearest\\run",
    "Auto": r"chosen\\by rule",
}
BLOCKS: dict[str, Callable[[Row], float]] = {
    "mean error of a run": lambda row: row.mean,
    "worst row": lambda row: row.worst,
    "error of the last row": lambda row: row.end,
}


def comparison(tests: Sequence[Tested]) -> str:
    """The noise law and its rivals by test; the smallest error of a line is bold."""
    columns = [(Cell(""), "l"), *((Cell(head, head), "r") for head in ROLES.values())]
    rows = []
    for title, error in BLOCKS.items():
        rows.append(_block(title, len(columns)))
        rows += [[Cell(test.use.label, test.use.label), *_errors(test, error)] for test in tests]
    caption = (
        "Errors on predicted runs, as shares of the loss: means over runs, then over splits, and the worst of all rows."
        " The smallest of a line is bold. A dash: there is no such law for these curves."
    )
    return as_latex(Table(caption, columns, rows), "comparison")


def _block(title: str, columns: int) -> list[Cell]:
    return [Cell(title, rf"\addlinespace[3pt]\multicolumn{{{columns}}}{{@{{}}l}}{{\emph{{{title}}}}}")]


def _errors(test: Tested, error: Callable[[Row], float]) -> list[Cell]:
    found = {role: error(row) for role in ROLES if (row := test.row(role))}
    least = min(found.values())
    return [_bold(percent(found[role]), found[role] == least) if role in found else NOTHING for role in ROLES]


def _bold(cell: Cell, is_bold: bool) -> Cell:
    return Cell(cell.text, rf"\textbf{{{cell.latex}}}") if is_bold else cell


def fitted(tests: Sequence[Tested], fits: Fits) -> str:
    """What the law's parameters came out as; over several splits the smallest and the largest."""
    columns = [
        (Cell("test"), "l"),
        (Cell("form"), "l"),
        (Cell("fits"), "r"),
        (Cell("alpha", r"$\alpha$"), "r"),
        (Cell("K at peak", r"$K\sqrt{\eta}$\\nats"), "r"),
        (Cell("M at peak", r"$M\sqrt{\eta}$\\nats"), "r"),
        (Cell("p", "$p$"), "r"),
        (Cell("half way", r"half way\\steps"), "r"),
        (Cell("condition", r"condition\\number"), "r"),
    ]
    rows = [
        [
            Cell(test.use.label, test.use.label),
            Cell(test.use.law, rf"\texttt{{{escape(test.use.law)}}}"),
            Cell(str(len(found))),
            _span(found, lambda one: one.parameters.get("alpha")),
            _span(found, lambda one: one.at_peak),
            _span(found, lambda one: one.parameters["M"] * one.lr**0.5 if "M" in one.parameters else None),
            _span(found, lambda one: one.parameters.get("p")),
            _span(found, lambda one: one.half_way),
            _span(found, lambda one: one.condition),
        ]
        for test in tests
        if (found := fits.of(test.name))
    ]
    caption = (
        r"The fitted law; where a test has several splits, the smallest and the largest value. $\eta$ is the highest"
        " fitted LR; half way: steps at that LR until $V$ has gone half the way to another LR. The condition number is"
        " that of the Jacobian with columns of unit length: the larger, the looser the parameters."
    )
    return as_latex(Table(caption, columns, rows), "fits")


def _span(found: Sequence[SplitFit], value: Callable[[SplitFit], float | None]) -> Cell:
    values = [one for fit in found if (one := value(fit)) is not None]
    return span(values) if values else NOTHING


def worst(tests: Sequence[Tested]) -> str:
    """For each test the run that the law misses most."""
    columns = [
        (Cell("test"), "l"),
        (Cell("run"), "l"),
        (Cell("mean error"), "r"),
        (Cell("worst row"), "r"),
        (Cell("end, signed"), "r"),
        (Cell("there", RIVALS["Eq"] + r"\\there"), "r"),
    ]
    rows = []
    for test in tests:
        most = max(test.of(NOISE), key=lambda one: one.mean)
        rows.append(
            [
                Cell(test.use.label, test.use.label),
                Cell(most.run, rf"\texttt{{{escape(most.run)}}}"),
                percent(most.mean),
                percent(most.worst),
                percent(most.end),
                percent(_same(test.of("Eq"), most)),
            ]
        )
    caption = (
        "Where the noise law errs most: the predicted run of each test with the largest mean error. The last column is"
        " the mean error of Eq.~1 or~4 on that run. An end below zero is predicted too low."
    )
    return as_latex(Table(caption, columns, rows), "worst")


def _same(others: Sequence[Score], one: Score) -> float | None:
    """The mean error of another law on the same run of the same split."""
    return next((other.mean for other in others if (other.split, other.run) == (one.split, one.run)), None)


def boards(results: Results) -> str:
    """The whole board, a table a part."""
    heads = {
        "entry": ("entry", "l"),
        "parameters": (r"param-\\eters", "r"),
        "mean": (r"mean\\error", "r"),
        "worst": (r"worst\\row", "r"),
        "end": (r"end\\error", "r"),
        "bias": (r"end,\\signed", "r"),
        "skill_s1": (r"skill over\\S1 alone", "r"),
        "skill_nearest": (r"skill over\\nearest run", "r"),
        "mean_covered": (r"means\\in band", "r"),
        "end_covered": (r"ends\\in band", "r"),
        "rows_covered": (r"rows\\in band", "r"),
    }
    parts = []
    for number, (name, rows) in enumerate(by_part(board(results.scores)).items()):
        shown = {one: head for one, head in heads.items() if any(getattr(row, one) is not None for row in rows)}
        columns = [(Cell(head, head), align) for head, align in shown.values()]
        caption = rf"All entries on \texttt{{{escape(name)}}}: {extent(rows)}."
        parts.append(as_latex(Table(caption, columns, [_board_row(row, shown) for row in rows]), f"board-{number}"))
    return "\n".join(parts)


def _board_row(row: Row, heads: Iterable[str]) -> list[Cell]:
    cells = {
        "entry": Cell(row.entry, rf"\texttt{{{escape(row.entry)}}}"),
        "parameters": NOTHING if row.parameters is None else Cell(str(row.parameters)),
        **{name: percent(getattr(row, name)) for name in ("mean", "worst", "end", "bias")},
        **{name: fixed(getattr(row, name), 2) for name in ("skill_s1", "skill_nearest")},
        **{name: percent(getattr(row, name), 0) for name in ("mean_covered", "end_covered", "rows_covered")},
    }
    return [cells[name] for name in heads]
