"""findings: the verdict on every claim of the paper, from the fits of a scale."""

import argparse
import csv
import io

from cpt_dynamics import experiments
from cpt_dynamics.analysis import findings
from cpt_dynamics.analysis.findings import SUPPORT, WORDS, Claims, Finding, Outcome
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.cli.text import indented, number
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import atomic, read_json, write_json
from cpt_dynamics.layout import Layout

WIDTH = max(map(len, WORDS)) + 2
OPEN = "questions that the paper leaves open:"
COLUMNS = ("finding", "verdict", "claim", "criterion", "measured", "above", "below", "holds", "value")


def add_findings(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--all", action="store_true", help="print each criterion too, with its value and bounds")
    parser.add_argument("--write", action="store_true", help="write findings.json and findings.csv of the scale")


def run_findings(options: argparse.Namespace) -> None:
    config = load_config(options)
    found = of_scale(findings.load(), config)
    print("\n".join(lines(found, options.all)))
    if options.write:
        path = Layout(config).root / "findings.json"
        write_json(path, findings.to_json(found, config.scale))
        with atomic(path.with_suffix(".csv")) as temporary:
            temporary.write_text(as_csv(found))
        print(f"in {path} and {path.with_suffix('.csv')}")


def of_scale(claims: Claims, config: Config) -> list[Finding]:
    """Verdicts from the fits of the figures that a scale has."""
    layout, shown = Layout(config), experiments.load(config).shown
    results = {}
    for figure in claims.figures:
        path = layout.fit(figure)
        if figure in shown and not path.is_file():
            raise UserError(f"{path} does not exist: make it first (`snakemake {path}`)")
        if figure in shown:
            results[figure] = read_json(path)
    return findings.evaluate(claims, results)


def lines(found: list[Finding], criteria: bool = False) -> list[str]:
    """One line a claim, with its criteria below it if wanted, and the counts at the end."""
    claims, questions = [f for f in found if not f.open], [f for f in found if f.open]
    printed = [line for one in claims for line in _lines(one, criteria)]
    if questions:
        printed += [OPEN, *(line for one in questions for line in _lines(one, criteria))]
    counted = ", ".join(f"{n} {word}" for word, n in findings.counts(claims).items() if n)
    return [*printed, f"{len(claims)} claims: {counted}"]


def _lines(one: Finding, criteria: bool) -> list[str]:
    support = f" ({SUPPORT[one.verdict]})" if one.open else ""
    first = f"{one.verdict:<{WIDTH}}{one.text}{support}"
    return [first, *(line for c in one.criteria for line in _criterion(c))] if criteria else [first]


def _criterion(one: Outcome) -> list[str]:
    value = "not defined" if one.value is None else number(one.value)
    mark = "holds" if one.holds else "fails" if one.value is not None else "-"
    return indented(f"    {mark:<6}{value:>12}  {bounds(one):<24}", f"{one.says} ({one.path})")


def bounds(one: Outcome) -> str:
    """`above 0, below 1`."""
    limits = {"above": one.above, "below": one.below}
    return ", ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)


def as_csv(found: list[Finding]) -> str:
    """One row a criterion."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in found:
        finding = "open question" if one.finding is None else one.finding
        for c in one.criteria:
            value = "not defined" if c.value is None else number(c.value, 6)
            limits = ("" if limit is None else f"{limit:g}" for limit in (c.above, c.below))
            holds = "yes" if c.holds else "no"
            writer.writerow([finding, one.verdict, one.text, c.says, value, *limits, holds, c.path])
    return out.getvalue()
