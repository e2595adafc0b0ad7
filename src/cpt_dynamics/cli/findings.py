"""findings: the verdict on every claim of the paper, from the fits of a scale."""

import argparse
import csv
import io
from collections.abc import Sequence

from cpt_dynamics import claims, experiments, figures
from cpt_dynamics.claims import WORDS, Claims, Outcome, Verdict, contrasts
from cpt_dynamics.cli import planned
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.cli.text import indented, number
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.contrasts.result import Result
from cpt_dynamics.figures.kit.result import FigureResult, read_result
from cpt_dynamics.files import atomic, write_json
from cpt_dynamics.layout import Layout

WIDTH = max(map(len, WORDS)) + 2
PLANNED = "contrasts whose bounds were fixed before their runs were trained:"
OPEN = "questions that the paper leaves open:"
COLUMNS = ("finding", "verdict", "claim", "criterion", "measured", "above", "below", "holds", "value")


def add_findings(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--all", action="store_true", help="print each criterion too, with its value and bounds")
    parser.add_argument("--write", action="store_true", help="write findings.json and findings.csv of the scale")


def run_findings(options: argparse.Namespace) -> None:
    config = load_config(options)
    stated = claims.load()
    found, measured = of_scale(stated, config), contrasts_of(config)
    print("\n".join(lines(found, options.all)))
    if made := contrasts.decisions(stated, config.scale, measured):
        print("\n".join([PLANNED, *planned.lines(made, measured)]))
    if options.write:
        path = Layout(config).root / "findings.json"
        write_json(path, claims.to_json(found, config.scale, contrasts.to_json(stated, config.scale, measured)))
        with atomic(path.with_suffix(".csv")) as temporary:
            temporary.write_text(as_csv(found), encoding="utf-8")
        print(f"in {path} and {path.with_suffix('.csv')}")


def of_scale(stated: Claims, config: Config) -> list[Verdict]:
    """Verdicts on the paper's claims and on open questions, from the fits of the figures that a scale has."""
    layout, shown = Layout(config), experiments.load(config).shown
    results: dict[str, FigureResult] = {}
    for figure in stated.figures:
        path = layout.fit(figure)
        if figure in shown and not path.is_file():
            raise UserError(f"{path} does not exist: make it first (`snakemake {path}`)")
        if figure in shown:
            results[figure] = read_result(path, figures.result_type(figure))
    return [one for one in claims.evaluate(stated, results) if one.claim.shown_in is None]


def contrasts_of(config: Config) -> Result | None:
    """The contrasts of a scale as measured; None where it does not have that figure."""
    if contrasts.FIGURE not in experiments.load(config).shown:
        return None
    path = Layout(config).fit(contrasts.FIGURE)
    if not path.is_file():
        raise UserError(f"{path} does not exist: make it first (`snakemake {path}`)")
    return read_result(path, Result)


def lines(found: Sequence[Verdict], criteria: bool = False) -> list[str]:
    """One line a claim, with its criteria below it if wanted, and the counts at the end."""
    paper, questions = [f for f in found if f.claim.finding], [f for f in found if f.claim.question]
    printed = [line for one in paper for line in _lines(one, criteria)]
    if questions:
        printed += [OPEN, *(line for one in questions for line in _lines(one, criteria))]
    counted = ", ".join(f"{n} {word}" for word, n in claims.counts(paper).items() if n)
    return [*printed, f"{len(paper)} claims: {counted}"]


def _lines(one: Verdict, criteria: bool) -> list[str]:
    first = f"{one.word:<{WIDTH}}{one.claim.text}"
    return [first, *(line for c in one.outcomes for line in _criterion(c))] if criteria else [first]


def _criterion(one: Outcome) -> list[str]:
    value = "not defined" if one.value is None else number(one.value)
    mark = "holds" if one.holds else "fails" if one.value is not None else "-"
    return indented(f"    {mark:<6}{value:>12}  {bounds(one):<24}", f"{one.says} ({one.path})")


def bounds(one: Outcome) -> str:
    """`above 0, below 1`."""
    if one.is_ is not None:
        return "is true" if one.is_ else "is not true"
    limits = {"above": one.above, "below": one.below}
    return ", ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)


def as_csv(found: Sequence[Verdict]) -> str:
    """One row a criterion."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in found:
        finding = one.claim.finding or "open question"
        for c in one.outcomes:
            value = "not defined" if c.value is None else number(c.value, 6)
            limits = ("" if limit is None else f"{limit:g}" for limit in (c.above, c.below))
            holds = "yes" if c.holds else "no"
            writer.writerow([finding, one.word, one.claim.text, c.says, value, *limits, holds, c.path])
    return out.getvalue()
