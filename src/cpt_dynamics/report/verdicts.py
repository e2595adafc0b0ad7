"""The verdicts of the report: a table of all claims, what decided each of them, and their counts as macros."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cpt_dynamics.claims import Outcome, Verdict, Word, counts
from cpt_dynamics.figures.kit.latex import Cell, escape, number
from cpt_dynamics.figures.kit.text import NOTHING
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.templates import render

FINDINGS = {  # the paper's findings in a line each
    1: "Finding 1. Continual pre-training moves the loss from one hidden curve towards another",
    2: "Finding 2. The loss is that of the hidden curve plus a shift, a power form of the forward area",
    3: "Finding 3. A pre-trained model of higher loss potential adapts better",
    4: "Finding 4. Whether the loss on the general corpus comes back below its start depends on the pre-training and on"
    " the shift",
    5: "Finding 5. Hyper-parameters have a best value for each goal, and other losses are linear combinations",
    None: "Questions that the paper leaves open",
}
MARKS: dict[Word, str] = {  # commands of paper/verdicts.tex: symbol and colour; with `word` behind it, the word too
    "supported": r"\marksupported",
    "contradicted": r"\markcontradicted",
    "inconclusive": r"\markinconclusive",
    "not testable": r"\marknottestable",
}
BOUNDS_ALONE = "too few runs for a test; the bounds alone decide."
PLAIN = (  # how claims.yaml spells symbols in plain text -> LaTeX, after escaping
    (r"D\\_pt\b", r"\\Dpt{}"),
    (r"D\\_cpt\b", r"\\Dcpt{}"),
    (r"\bR2\b", "$R^2$"),
    (r"\beps = ", r"$\\varepsilon$ = "),
    (r"\bp that\b", "$p$ that"),
    (r"\bw1\b", "$w_1$"),
    (r"(?<=\d) \\%", r"\\,\\%"),
)


def prose(text: str) -> str:
    """Plain text of claims.yaml as LaTeX, with its symbols set as such."""
    latex = escape(" ".join(text.split()))
    for spelled, symbol in PLAIN:
        latex = re.sub(spelled, symbol, latex)
    return latex


def marked(word: Word) -> str:
    """A verdict as symbol and word."""
    return rf"{MARKS[word].replace('mark', 'verdict')}{{}}"


@dataclass(frozen=True)
class Row:
    """A claim as the templates show it, in LaTeX."""

    name: str
    mark: str
    text: str
    test: str
    held: int
    figures: list[str]
    criteria: list[list[str]]


@dataclass(frozen=True)
class Group:
    """The claims of one finding."""

    heading: str
    claims: list[Row]


def groups(material: Material) -> list[Group]:
    """Heading and claims of every finding that has any, open questions last."""
    claims = [one for one in material.verdicts if one.claim.shown_in is None]
    found = [
        Group(heading, [_row(one, material) for one in claims if one.claim.finding == finding])
        for finding, heading in FINDINGS.items()
    ]
    return [group for group in found if group.claims]


def _row(one: Verdict, material: Material) -> Row:
    return Row(
        one.name,
        marked(one.word),
        prose(one.claim.text),
        prose(one.claim.test) if one.claim.test else BOUNDS_ALONE,
        one.held,
        [link(figure, material) for figure in one.figures],
        [[cell.latex for cell in cells(c)[:3]] + [held(c)] for c in one.outcomes],
    )


def link(figure: str, material: Material) -> str:
    """A figure by the name that the report gives it, linked to it where this scale has it (`not here`: it has not)."""
    if figure in material.figures:
        return rf"\hyperref[fig:{figure}]{{Fig.~{material.names[figure]}}}"
    called = f"Fig.~{int(figure[-2:])}" if re.fullmatch(r"fig\d+", figure) else escape(figure)
    return f"{called} (not here)"


def cells(one: Outcome) -> list[Cell]:
    """A criterion: what it is, measured, wanted, printed by the paper."""
    if one.is_ is not None:
        answers = {True: Cell("yes"), False: Cell("no"), None: Cell("not defined")}
        measured = answers[None if one.value is None else bool(one.value)]
        wanted = answers[one.is_]
    else:
        measured = Cell("not defined") if one.value is None else shown(one.value, one.format)
        wanted = bound(one)
    return [Cell(one.says, prose(one.says)), measured, wanted, Cell(one.printed) if one.printed else NOTHING]


def held(one: Outcome) -> str:
    return "--" if one.value is None else "yes" if one.holds else r"\textbf{no}"


def shown(value: float, form: str) -> Cell:
    """A value in a format of Python, as text and as LaTeX."""
    if form.endswith("g"):
        return number(value, int(form.strip(".g")))
    text = format(value, form)
    return _percent(text.rstrip("%"), value) if text.endswith("%") else Cell(text, f"${text}$" if value < 0 else text)


def _percent(text: str, value: float) -> Cell:
    latex = rf"{text}\,\%"
    return Cell(f"{text} %", f"${latex}$" if value < 0 else latex)


def bound(one: Outcome) -> Cell:
    """The bounds of a criterion, with the digits that they were given."""
    limits = {">": one.above, "<": one.below}
    if one.above is not None and one.below is not None:
        low, high = _limit(one.above, one.format), _limit(one.below, one.format)
        return Cell(f"{low.text} to {high.text}", f"{low.latex} to {high.latex}")
    sign, limit = next((sign, limit) for sign, limit in limits.items() if limit is not None)
    cell = _limit(limit, one.format)
    return Cell(f"{sign} {cell.text}", f"${sign}$ {cell.latex}")


def _limit(value: float, form: str) -> Cell:
    if form.endswith("%"):
        return _percent(f"{100 * value:g}", value)
    text = f"{value:g}"
    return number(value, 2) if "e" in text else Cell(text, f"${text}$")


def verdicts(material: Material) -> str:
    """A row a claim: verdict, claim, criteria that hold (linked to them), and figures (linked too)."""
    return render("verdicts", groups=groups(material))


def criteria(material: Material) -> str:
    """Every claim with its test, and below it every criterion: what, measured, wanted, holds."""
    return render("criteria", groups=groups(material))


def macros(found: Sequence[Verdict]) -> dict[str, str]:
    """Counts of claims by verdict, of criteria, and of the open questions, which are in no other count."""
    claims = [one for one in found if one.claim.finding]
    questions = [one for one in found if one.claim.question]
    by_word = counts(claims)
    return {
        "ClaimCount": str(len(claims)),
        "ClaimsSupported": str(by_word["supported"]),
        "ClaimsContradicted": str(by_word["contradicted"]),
        "ClaimsInconclusive": str(by_word["inconclusive"]),
        "ClaimsNotTestable": str(by_word["not testable"]),
        "CriteriaCount": str(sum(len(one.outcomes) for one in claims)),
        "CriteriaHeld": str(sum(one.held for one in claims)),
        "QuestionCount": str(len(questions)),
        "QuestionsSupported": str(counts(questions)["supported"]),
    }
