"""The verdicts of the report: a table of all claims, what decided each of them, and their counts as macros."""

import re
from collections.abc import Sequence

from cpt_dynamics.analysis.findings import SUPPORT, Finding, Outcome, Word, counts
from cpt_dynamics.figures.kit.latex import Cell, escape, number
from cpt_dynamics.reporting.claims import names
from cpt_dynamics.reporting.material import Material

FINDINGS = {  # the paper's findings in a line each
    1: "Continual pre-training moves the loss from one hidden curve towards another",
    2: "The loss is that of the hidden curve plus a shift, a power form of the forward area",
    3: "A pre-trained model of higher loss potential adapts better",
    4: "Whether the loss on the general corpus comes back below its start depends on the pre-training and on the shift",
    5: "Hyper-parameters have a best value for each goal, and other losses are linear combinations",
}
OPEN = "Questions that the paper leaves open"
MARKS: dict[Word, str] = {  # commands of paper/verdicts.tex: a symbol, a colour and the word
    "reproduced": r"\reproduced",
    "partly": r"\partly",
    "not reproduced": r"\notreproduced",
    "not testable at this scale": r"\nottestable",
}
SHORT_MARKS: dict[Word, str] = {  # the symbols alone
    "reproduced": r"\markreproduced",
    "partly": r"\markpartly",
    "not reproduced": r"\marknotreproduced",
    "not testable at this scale": r"\marknottestable",
}
BOUNDS_ALONE = "too few runs for a test; the bounds alone decide."
PLAIN = (  # how claims.yaml spells symbols in plain text -> LaTeX, after escaping
    (r"D\\_pt\b", r"\\Dpt{}"),
    (r"D\\_cpt\b", r"\\Dcpt{}"),
    (r"\bR2\b", "$R^2$"),
    (r"\beps = ", r"$\\varepsilon$ = "),
    (r"\bp that\b", "$p$ that"),
    (r"(?<=\d) \\%", r"\\,\\%"),
)


def prose(text: str) -> str:
    """Plain text of claims.yaml as LaTeX, with its symbols set as such."""
    latex = escape(" ".join(text.split()))
    for spelled, symbol in PLAIN:
        latex = re.sub(spelled, symbol, latex)
    return latex


def groups(findings: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    """Heading (LaTeX) and claims of every finding that has any, open questions last."""
    found = [
        (rf"\textbf{{Finding {number_}. {title}}}", [one for one in findings if one.finding == number_])
        for number_, title in FINDINGS.items()
    ]
    found.append((rf"\textbf{{{OPEN}}}", [one for one in findings if one.open]))
    return [(heading, claims) for heading, claims in found if claims]


def verdicts(material: Material) -> str:
    """A row a claim: verdict, claim, criteria that hold (linked to them), and figures (linked too)."""
    rows = []
    for heading, claims in groups(material.findings):
        rows.append(rf"\addlinespace[3pt]{_wide(heading)} \\* \addlinespace[1pt]")
        rows += [" & ".join(_cells(one, material)) + r" \\" for one in claims]
    return _longtable(
        "Claims of the paper and the verdict on each. The third column leads to the criteria.",
        "verdicts",
        r"@{}>{\raggedright\arraybackslash}p{2.5cm}>{\raggedright\arraybackslash}p{8.5cm}"
        r"l>{\raggedright\arraybackslash}p{2.4cm}@{}",
        "verdict & claim & criteria held & shown in",
        rows,
    )


def _cells(one: Finding, material: Material) -> list[str]:
    held = rf"\hyperref[claim:{one.name}]{{{one.held} of {len(one.criteria)}}}"
    return [MARKS[one.verdict], _statement(one), held, ", ".join(link(figure, material) for figure in one.figures)]


def _statement(one: Finding) -> str:
    """The claim; behind an open question, what the results say of it."""
    return prose(one.text) + (f" \\emph{{Here: {SUPPORT[one.verdict]}.}}" if one.open else "")


def link(figure: str, material: Material) -> str:
    """A figure by the name that the report gives it, linked to it where this scale has it (`not here`: it has not)."""
    if figure in material.figures:
        return rf"\hyperref[fig:{figure}]{{Fig.~{names(material.figures)[figure]}}}"
    called = f"Fig.~{int(figure[-2:])}" if re.fullmatch(r"fig\d+", figure) else escape(figure)
    return f"{called} (not here)"


def criteria(material: Material) -> str:
    """Every claim with its test, and below it every criterion: what, measured, wanted, holds."""
    rows = []
    for heading, claims in groups(material.findings):
        rows.append(rf"\addlinespace[6pt]{_wide(heading)} \\*")
        for one in claims:
            rows.append(rf"\addlinespace[5pt]{_wide(_head(one, material))} \\* \addlinespace[1pt]")
            inner = [" & ".join(_criterion(c)) for c in one.criteria]
            rows += [row + r" \\*" for row in inner[:-1]] + [inner[-1] + r" \\"]
    return _longtable(
        r"What decided each verdict. Equations are numbered as in the paper.",
        "criteria",
        r"@{\hspace{1em}}>{\raggedright\arraybackslash}p{9.4cm}rll@{}",
        "criterion & measured & wanted & holds",
        rows,
    )


def _head(one: Finding, material: Material) -> str:
    shown = ", ".join(link(figure, material) for figure in one.figures)
    test = prose(one.test) if one.test else BOUNDS_ALONE
    return (
        rf"\phantomsection\label{{claim:{one.name}}}{MARKS[one.verdict]}: {_statement(one)} \emph{{Test:}} {test}"
        f" \\emph{{Shown in:}} {shown}."
    )


def _wide(latex: str) -> str:
    """A cell over the whole width of a table."""
    return rf"\multicolumn{{4}}{{@{{}}>{{\raggedright\arraybackslash}}p{{\linewidth}}@{{}}}}{{{latex}}}"


def _criterion(one: Outcome) -> list[str]:
    says, bound = prose(one.says), wanted(one).latex
    if one.value is None:
        return [says, "not defined", bound, "--"]
    return [says, number(one.value, 4).latex, bound, "yes" if one.holds else r"\textbf{no}"]


def wanted(one: Outcome) -> Cell:
    """The bounds of a criterion."""
    if one.above is not None and one.below is not None:
        low, high = _limit(one.above), _limit(one.below)
        return Cell(f"{low.text} to {high.text}", f"{low.latex} to {high.latex}")
    sign, limit = (">", one.above) if one.below is None else ("<", one.below)
    shown = _limit(limit or 0.0)
    return Cell(f"{sign} {shown.text}", f"${sign}$ {shown.latex}")


def _limit(value: float) -> Cell:
    """A bound with the digits that it was given."""
    text = f"{value:g}"
    return number(value, 2) if "e" in text else Cell(text, f"${text}$")


def _longtable(caption: str, label: str, columns: str, head: str, rows: Sequence[str]) -> str:
    return "\n".join(
        [
            rf"\begin{{longtable}}{{{columns}}}",
            rf"\caption{{{caption}}}\label{{tab:{label}}}\\",
            r"\toprule",
            rf"{head} \\",
            r"\midrule",
            r"\endfirsthead",
            r"\toprule",
            rf"{head} \\",
            r"\midrule",
            r"\endhead",
            r"\bottomrule",
            r"\endfoot",
            *rows,
            r"\end{longtable}",
            "",
        ]
    )


def macros(material: Material) -> dict[str, str]:
    """Counts of claims by verdict, of criteria, and of the open questions, which are in no other count."""
    claims = [one for one in material.findings if not one.open]
    questions = [one for one in material.findings if one.open]
    by_word = counts(claims)
    return {
        "ClaimCount": str(len(claims)),
        "ClaimsReproduced": str(by_word["reproduced"]),
        "ClaimsPartly": str(by_word["partly"]),
        "ClaimsNotReproduced": str(by_word["not reproduced"]),
        "ClaimsNotTestable": str(by_word["not testable at this scale"]),
        "CriteriaCount": str(sum(len(one.criteria) for one in claims)),
        "CriteriaHeld": str(sum(one.held for one in claims)),
        "QuestionCount": str(len(questions)),
        "QuestionsSupported": str(counts(questions)["reproduced"]),
    }
