"""The planned contrasts as a table: word, effect with interval, margin and best rival."""

from cpt_dynamics.claims import WORDS, contrasts, load
from cpt_dynamics.claims.file import Planned
from cpt_dynamics.figures.contrasts.result import Contrast, Decision, Result
from cpt_dynamics.figures.kit.latex import Cell, number
from cpt_dynamics.figures.kit.text import NOTHING
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.table import Table
from cpt_dynamics.report.verdicts import marked, prose

NARROW = r">{\raggedright\arraybackslash}p"
LOSSES = {
    "general": Cell("D_pt", r"\Dpt{}"),
    "strong": Cell("D_cpt", r"\Dcpt{}"),
    "weak": Cell("weak domain"),
    "proxy": Cell("proxy of D_pt", r"proxy of \Dpt{}"),
    "goal": Cell("goal"),
    "out_of_domain": Cell("out-of-domain"),
}
SIGNS = {"below": "<", "above": ">", "within": "+-"}
NAMED = 2  # missing runs that the PDF names; the CSV names all


def table(material: Material) -> Table:
    """A row a contrast and loss."""
    stated, scale = load(), material.config.scale
    found = material.result(Result)
    made = contrasts.decisions(stated, scale, found)
    rows = []
    for name, planned in contrasts.of_scale(stated, scale).items():
        rows += _rows(planned, made[name], contrasts.measured(name, found))
    return Table(
        "Planned contrasts: what was to be measured and what decides stood in"
        r" \texttt{config/claims.yaml} before the runs were trained. An interval is by Student's $t$ over units"
        " (runs or seeds); a contrast without one has too few, and the number alone decides.",
        [
            (Cell("verdict"), NARROW + "{2.4cm}"),
            (Cell("claim"), NARROW + "{3.9cm}"),
            (Cell("loss"), NARROW + "{1.1cm}"),
            (Cell("effect (interval)"), NARROW + "{2.9cm}"),
            (Cell("margin"), NARROW + "{1.8cm}"),
            (Cell("best rival"), NARROW + "{2.8cm}"),
        ],
        rows,
        "Supported: the whole interval lies on the wanted side of the margin; contradicted: on the other;"
        " inconclusive: it spans the margin. Of two losses the worse word counts (contradicted, then inconclusive, then"
        " supported). Nothing is decided while a run is missing. The best rival is the one that does most of what is"
        " claimed; its number is the effect with it in the place of the claim. Margins in nats for squared errors of a"
        " shift are in square nats; seed noise is a standard deviation of a final loss over seeds.",
    )


def _rows(planned: Planned, made: Decision, found: Contrast) -> list[list[Cell]]:
    first = [Cell(made.word, marked_of(made.word)), Cell(planned.text, prose(planned.text))]
    if not found.losses:
        return [[*first, NOTHING, _lacking(found), margin(planned), NOTHING]]
    rows: list[list[Cell]] = []
    for loss, effect in found.losses.items():
        judged = made.losses[loss]
        ends = [shown(end, planned) for end in (judged.low, judged.high) if end is not None]
        interval = tuple(f" ({' to '.join(parts)})" if ends else "" for parts in _both(ends))
        cell = shown(effect.estimate, planned)
        rival = NOTHING
        if judged.rival is not None and judged.rival_effect is not None:
            value = shown(judged.rival_effect, planned)
            rival = Cell(f"{judged.rival}: {value.text}", f"{prose(judged.rival)}: {value.latex}")
        rows.append(
            [
                *(first if not rows else [Cell(""), Cell("")]),
                LOSSES[loss],
                Cell(f"{cell.text}{interval[0]}", f"{cell.latex}{interval[1]}"),
                margin(planned),
                rival,
            ]
        )
    if found.missing or found.reason:
        rows.append([Cell(""), Cell(""), NOTHING, _lacking(found), NOTHING, NOTHING])
    return rows


def marked_of(word: str) -> str:
    """A word of a decision as symbol and word."""
    return next(marked(known) for known in WORDS if known == word)


def _both(cells: list[Cell]) -> tuple[list[str], list[str]]:
    return [cell.text for cell in cells], [cell.latex for cell in cells]


def _lacking(found: Contrast) -> Cell:
    """The runs that are missing, or why the effect is not defined."""
    if not found.missing:
        return Cell(found.reason, prose(found.reason))
    more = f" and {len(found.missing) - NAMED} more" if len(found.missing) > NAMED else ""
    few = f"missing: {', '.join(found.missing[:NAMED])}{more}"
    breakable = prose(few).replace(r"\_", r"\_\allowbreak{}")
    return Cell(f"missing: {', '.join(found.missing)}", breakable)


def margin(planned: Planned) -> Cell:
    """The margin with its side and unit."""
    cell, sign = shown(planned.margin, planned, given=True), SIGNS[planned.expects]
    unit = "" if planned.margin_in == "relative" else f" {planned.margin_in}"
    tex = {"+-": r"$\pm$", "<": "$<$", ">": "$>$"}[sign]
    return Cell(f"{sign} {cell.text}{unit}", f"{tex} {cell.latex} {prose(unit)}".rstrip())


def shown(value: float, planned: Planned, given: bool = False) -> Cell:
    """A number in the unit of a contrast, relative ones in per cent; with the digits that it was `given`."""
    if planned.margin_in == "relative":
        value *= 100
    cell = Cell(f"{value:g}", f"${value:g}$") if given else number(value, 3)
    if planned.margin_in == "relative":
        return Cell(f"{cell.text} %", rf"{cell.latex}\,\%")
    return cell
