"""The findings as tests: claims are read, decided by numbers alone, printed, and set as a page of verdicts."""

import argparse
import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import yaml

from cpt_dynamics import config
from cpt_dynamics.analysis import findings
from cpt_dynamics.analysis.findings import Finding
from cpt_dynamics.cli import findings as command
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit.latex import escape
from cpt_dynamics.files import read_json, write_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.reporting import document, summary
from cpt_dynamics.reporting import findings as page
from cpt_dynamics.reporting.material import Material

ROOT = Path(__file__).parent.parent
MADE_UP: dict[str, Any] = {
    "asked": {
        "finding": None,
        "text": "Nobody said whether R2 on D_pt rises.",
        "criteria": {"rise": {"value": "fig02.rise", "above": 0, "says": "rise of R2"}},
    },
    "potential": {
        "finding": 3,
        "text": "A model of 100 % potential & more ends lower on D_cpt.",
        "test": "One-sided t-test over seeds.",
        "criteria": {
            "slope": {"value": "fig05.trend.mean", "below": 0, "says": "change of the loss (nats)"},
            "p": {"value": "fig05.trend.p", "above": -1, "below": 0.05, "says": "p that it does not fall"},
        },
    },
    "shift": {
        "finding": 2,
        "text": "The shift overlaps.",
        "criteria": {
            "spread": {"value": "fig02.spread", "below": 0.2, "says": "spread on D_pt"},
            "slope": {"value": "fig14.sets.general.slope", "above": -0.3, "below": 0.3, "says": "slope"},
        },
    },
}


def write(path: Path, claims: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump({"claims": claims}, sort_keys=False))
    return path


def changed(value: Any, *keys: str) -> dict[str, Any]:
    """The made-up claims with one key set."""
    copy = json.loads(json.dumps(MADE_UP))
    inner = copy
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return cast(dict[str, Any], copy)


@pytest.fixture
def claims(tmp_path: Path) -> findings.Claims:
    return findings.load(write(tmp_path / "claims.yaml", MADE_UP))


def evaluated(claims: findings.Claims, **results: Any) -> dict[str, Finding]:
    return {one.name: one for one in findings.evaluate(claims, results)}


def every(claims: findings.Claims, values: Any) -> dict[str, Any]:
    """Made-up fits in which every path of the claims leads to a number; `values(claim, position, criterion)`."""
    results: dict[str, Any] = {}
    for number, claim in enumerate(claims.claims.values()):
        for position, one in enumerate(claim.criteria.values()):
            *above, last = one.value.split(".")
            inner = results
            for key in above:
                inner = inner.setdefault(key, {})
            inner[last] = values(number, position, one)
    return results


def inside(one: findings.Criterion) -> float:
    if one.above is not None and one.below is not None:
        return (one.above + one.below) / 2
    return one.below - 1.5 if one.below is not None else (one.above or 0.0) + 1.5


def outside(one: findings.Criterion) -> float:
    return one.below + 0.1234567 if one.below is not None else (one.above or 0.0) - 0.1234567


def mixed(number: int, position: int, one: findings.Criterion) -> float | None:
    """Claims in turn: reproduced, partly, not reproduced, partly for want of a number, without any number."""
    kind = number % 5
    if kind == 4 or (kind == 3 and position == 0):
        return None
    return outside(one) if kind == 2 or (kind == 1 and position == 0) else inside(one)


# --- verdicts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "p", "verdict", "held"),
    [
        (-0.1, 0.01, "reproduced", 2),
        (-0.1, 0.2, "partly", 1),
        (0.1, 0.2, "not reproduced", 0),
        (None, None, "not testable at this scale", 0),
        (-0.1, None, "partly", 1),
        (0.1, None, "not reproduced", 0),
        (float("nan"), float("inf"), "not testable at this scale", 0),
        (float("nan"), 0.01, "partly", 1),
        (0.0, 0.05, "not reproduced", 0),  # a bound itself is not within it
        (-1, -1, "partly", 1),
    ],
)
def test_the_verdict_follows_from_the_criteria(
    claims: findings.Claims, mean: float | None, p: float | None, verdict: str, held: int
) -> None:
    found = evaluated(claims, fig05={"trend": {"mean": mean, "p": p}})["potential"]
    assert (found.verdict, found.held) == (verdict, held)


def test_numbers_of_a_figure_that_a_scale_lacks_are_not_defined(claims: findings.Claims) -> None:
    found = evaluated(claims, fig02={"spread": 0.1, "rise": -1})
    assert [one.value for one in found["shift"].criteria] == [0.1, None]
    assert found["shift"].verdict == "partly"
    assert found["potential"].verdict == "not testable at this scale"
    assert found["asked"].verdict == "not reproduced"


def test_claims_stand_in_the_order_of_the_findings_and_open_questions_last(claims: findings.Claims) -> None:
    found = findings.evaluate(claims, {})
    assert [one.name for one in found] == ["shift", "potential", "asked"]
    assert [one.open for one in found] == [False, False, True]
    assert found[0].figures == ["fig02", "fig14"]


@pytest.mark.parametrize(
    "fit",
    [
        {"trend": {"maen": -0.1, "p": 0.01}},  # a misspelt key must not pass as "not testable"
        {"trend": None},
        {"trend": 0.3},
        {"trend": {"mean": "low", "p": 0.01}},
        {"trend": {"mean": True, "p": 0.01}},
        {"trend": {"mean": {"value": 1}, "p": 0.01}},
        {},
    ],
)
def test_a_path_that_leads_to_no_number_is_an_error(claims: findings.Claims, fit: dict[str, Any]) -> None:
    with pytest.raises(UserError) as error:
        findings.evaluate(claims, {"fig05": fit})
    assert "claims.potential.criteria.slope: 'fig05.trend.mean'" in str(error.value)
    assert "\n" not in str(error.value)


# --- claims.yaml ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (changed("a text", "shift", "txet"), "unknown key 'claims.shift.txet'"),
        (changed(1, "shift", "criteria", "spread", "abvoe"), "unknown key 'claims.shift.criteria.spread.abvoe'"),
        (changed("fig99.x", "shift", "criteria", "spread", "value"), "claims.shift.criteria.spread.value: there is no"),
        (changed("fig02", "shift", "criteria", "spread", "value"), "claims.shift.criteria.spread.value"),
        (changed(None, "shift", "criteria", "spread", "below"), "claims.shift.criteria.spread: has no bound"),
        (changed(0.5, "shift", "criteria", "spread", "above"), "no number is above 0.5 and below 0.2"),
        (changed(float("nan"), "shift", "criteria", "spread", "below"), "claims.shift.criteria.spread.below"),
        (changed(6, "shift", "finding"), "claims.shift.finding"),
        (changed({}, "shift", "criteria"), "claims.shift.criteria"),
        (changed({"text": "No finding.", "criteria": MADE_UP["asked"]["criteria"]}, "new"), "'claims.new.finding' is"),
    ],
)
def test_a_mistake_in_the_claims_is_one_line(tmp_path: Path, edit: dict[str, Any], said: str) -> None:
    path = write(tmp_path / "claims.yaml", edit)
    with pytest.raises(UserError) as error:
        findings.load(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_claims_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"claims\.yaml does not exist"):
        findings.load(tmp_path / "claims.yaml")


def test_the_claims_of_the_kit() -> None:
    raw = config.read_yaml(ROOT / findings.CLAIMS)
    jsonschema.validate(raw, findings.schema())
    claims = findings.load(ROOT / findings.CLAIMS)
    assert {claim.finding for claim in claims.claims.values()} == {1, 2, 3, 4, 5, None}
    found = findings.evaluate(claims, every(claims, mixed))
    assert {one.verdict for one in found} == set(findings.WORDS)
    held = findings.evaluate(claims, every(claims, lambda number, position, one: inside(one)))
    assert {one.verdict for one in held} == {"reproduced"}
    failed = findings.evaluate(claims, every(claims, lambda number, position, one: outside(one)))
    assert {one.verdict for one in failed} == {"not reproduced"}


def test_the_schema_is_up_to_date() -> None:
    written = (ROOT / findings.SCHEMA_FILE).read_text(encoding="utf-8")
    assert written == findings.schema_text(), "run `python -m cpt_dynamics.analysis.findings --write-schema`"


def test_the_schema_refuses_what_the_kit_refuses() -> None:
    for edit in (changed("t", "shift", "txet"), changed(6, "shift", "finding"), changed({}, "shift", "criteria")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"claims": edit}, findings.schema())
    del (without := changed(1, "shift", "finding"))["shift"]["criteria"]["spread"]["below"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"claims": without}, findings.schema())


def test_the_schema_is_written_where_it_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert findings.main([]) == 1
    assert "--write-schema" in capsys.readouterr().out
    assert findings.main(["--write-schema"]) == 0
    assert findings.main([]) == 0
    assert findings.SCHEMA_FILE.read_text() == findings.schema_text()


# --- the command ------------------------------------------------------------------------------------------


def run(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_findings(parser)
    command.run_findings(parser.parse_args(arguments))


@pytest.fixture
def scale(world: Path) -> Layout:
    """A scale with one figure, fig02, and its fit."""
    write(world / "config/claims.yaml", MADE_UP)
    layout = Layout(config.load([]))
    write_json(layout.fit("fig02"), {"spread": 0.1234567, "rise": 0.5})
    return layout


def test_the_command_prints_a_line_a_claim(scale: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    assert [re.sub(" +", " ", line) for line in capsys.readouterr().out.splitlines()] == [
        "partly The shift overlaps.",
        "not testable at this scale A model of 100 % potential & more ends lower on D_cpt.",
        "questions that the paper leaves open:",
        "reproduced Nobody said whether R2 on D_pt rises. (supported)",
        "2 claims: 1 partly, 1 not testable at this scale",
    ]
    assert not (scale.root / "findings.json").exists()


def test_the_command_prints_criteria_with_values_and_bounds(scale: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    run("--all")
    printed = [re.sub(" +", " ", line).strip() for line in capsys.readouterr().out.splitlines()]
    assert "holds 0.1235 below 0.2 spread on D_pt (fig02.spread)" in printed
    assert "- not defined above -0.3, below 0.3 slope (fig14.sets.general.slope)" in printed


def test_the_command_writes_json_and_a_table(scale: Layout) -> None:
    run("--write")
    found = read_json(scale.root / "findings.json")
    assert found["scale"] == "tiny"
    assert found["counts"] == {
        "reproduced": 0,
        "partly": 1,
        "not reproduced": 0,
        "not testable at this scale": 1,
    }
    shift = found["claims"]["shift"]
    assert (shift["finding"], shift["claim"], shift["verdict"]) == (2, "The shift overlaps.", "partly")
    assert shift["criteria"]["spread"] == {
        "says": "spread on D_pt",
        "path": "fig02.spread",
        "value": 0.1234567,
        "above": None,
        "below": 0.2,
        "holds": True,
    }
    rows = list(csv.DictReader((scale.root / "findings.csv").open()))
    assert len(rows) == 5
    assert (rows[1]["measured"], rows[1]["above"], rows[1]["holds"]) == ("not defined", "-0.3", "no")


def test_a_fit_that_was_not_made_yet_is_named(scale: Layout) -> None:
    scale.fit("fig02").unlink()
    with pytest.raises(UserError, match=r"fits/fig02\.json does not exist: make it first"):
        run()


# --- the report -------------------------------------------------------------------------------------------


class Stub:
    """The part of `Material` that the page of verdicts reads."""

    def __init__(self, found: list[Finding], figures: list[str]) -> None:
        self.findings, self.figures = found, figures


def stub(found: list[Finding], figures: list[str]) -> Material:
    return cast(Material, Stub(found, figures))


def test_plain_text_of_claims_becomes_latex() -> None:
    assert page.prose("R2 on D_pt & D_cpt\n  for 10 % of x_y") == r"$R^2$ on \Dpt{} \& \Dcpt{} for 10\,\% of x\_y"
    assert page.prose("p that eps = 0.1 is in place") == r"$p$ that $\varepsilon$ = 0.1 is in place"


def test_the_page_of_verdicts_has_words_marks_counts_and_links(claims: findings.Claims) -> None:
    results = {"fig02": {"spread": 0.1, "rise": -1}, "fig05": {"trend": {"mean": 0.1, "p": 0.01}}}
    material = stub(findings.evaluate(claims, results), ["fig02", "fig05", "seeds"])
    lines = page.verdicts(material).splitlines()
    row = next(line for line in lines if "The shift overlaps." in line)
    assert row.startswith(r"\partly & ")
    assert r"\hyperref[claim:shift]{1 of 2}" in row
    assert r"\hyperref[fig:fig02]{Fig.~2}, Fig.~14 (not here)" in row
    asked = next(line for line in lines if "Nobody said" in line)
    assert asked.startswith(r"\notreproduced & ")
    assert r"\emph{Here: not supported.}" in asked
    headings = [line for line in lines if r"\multicolumn" in line]
    assert [re.search(r"textbf\{([^}.]+)", line)[1] for line in headings] == [  # type: ignore[index]
        "Finding 2",
        "Finding 3",
        page.OPEN,
    ]
    assert page.macros(material) == {
        "ClaimCount": "2",
        "ClaimsReproduced": "0",
        "ClaimsPartly": "2",
        "ClaimsNotReproduced": "0",
        "ClaimsNotTestable": "0",
        "CriteriaCount": "4",
        "CriteriaHeld": "2",
        "QuestionCount": "1",
        "QuestionsSupported": "0",
    }


def test_each_criterion_is_shown_with_what_was_measured_and_wanted(claims: findings.Claims) -> None:
    found = findings.evaluate(claims, {"fig05": {"trend": {"mean": 0.12345, "p": 0.01}}})
    written = page.criteria(stub(found, ["fig05"]))
    assert r"\label{claim:potential}\partly: A model of 100\,\% potential \& more" in written
    assert r"\emph{Test:} One-sided t-test over seeds." in written
    assert rf"\emph{{Test:}} {page.BOUNDS_ALONE}" in written
    assert r"change of the loss (nats) & 0.1235 & $<$ $0$ & \textbf{no} \\" in written
    assert r"$p$ that it does not fall & 0.01000 & $-1$ to $0.05$ & yes \\" in written
    assert r"slope & not defined & $-0.3$ to $0.3$ & -- \\" in written


def test_verdicts_that_change_change_the_page(claims: findings.Claims) -> None:
    good = {"fig05": {"trend": {"mean": -0.1, "p": 0.01}}}
    bad = {"fig05": {"trend": {"mean": 0.1, "p": 0.5}}}
    pages = [page.verdicts(stub(findings.evaluate(claims, results), ["fig05"])) for results in (good, bad)]
    assert (r"\reproduced" in pages[0], r"\reproduced" in pages[1]) == (True, False)
    assert (r"\notreproduced" in pages[0], r"\notreproduced" in pages[1]) == (False, True)


SHELL = r"""\documentclass[11pt,a4paper]{article}
\usepackage{preamble}
%s
\begin{document}
\input{verdicts}
%s
\end{document}
"""


@pytest.mark.skipif(document.tex() is None, reason=document.NO_TEX)
def test_the_page_of_verdicts_is_set_without_a_warning(tmp_path: Path) -> None:
    claims = findings.load(ROOT / findings.CLAIMS)
    results = every(claims, mixed)
    figures = [figure for figure in claims.figures if figure != "fig14"]
    del results["fig14"]
    material = stub(findings.evaluate(claims, results), figures)
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated/verdicts.tex").write_text(page.verdicts(material))
    (tmp_path / "generated/criteria.tex").write_text(page.criteria(material))
    for name in ("preamble.sty", "verdicts.tex"):
        shutil.copy(ROOT / "paper" / name, tmp_path / name)
    macros = "\n".join(rf"\newcommand{{\{name}}}{{{value}}}" for name, value in page.macros(material).items())
    labels = "\n".join(rf"\section{{{escape(figure)}}}\label{{fig:{figure}}}" for figure in figures)
    (tmp_path / "report.tex").write_text(SHELL % (macros, labels))
    document.compile(tmp_path, "2026-01-02T03:04:05+00:00")
    log = (tmp_path / "build/report.log").read_text(errors="replace")
    assert not re.search(r"LaTeX Warning: (Reference|Hyper|There were undefined)|Overfull", log)
    aux = (tmp_path / "build/report.aux").read_text()
    pages = [int(n) for n in re.findall(r"newlabel\{tab:(?:verdicts|criteria)\}\{\{\d+\}\{(\d+)\}", aux)]
    assert len(pages) == 2
    assert pages[1] > pages[0]  # the verdicts fit on one page


def test_a_figure_leads_to_its_data_and_to_its_rule(world: Path) -> None:
    entries = config.read_yaml("config/experiments.yaml")
    entries["figures"] = {
        "mine": {"title": "Mine", "runs": ["fork"]},
        "drawn_from_it": {"title": "Drawn", "curves": "none", "needs": ["mine"]},
        "printed": {"title": "Printed", "curves": "none"},
    }
    Path("config/experiments.yaml").write_text(yaml.safe_dump(entries))
    material = Material(config.load([]))
    written = document.figures(material, "runs")
    assert r"\datafile{../figures/mine.csv}{figures/mine.csv}" in written
    assert r"\datafile{../../../workflow/rules/figures.smk}{snakemake mine}" in written
    # what is drawn from fits of this scale is a result of it
    assert r"\label{fig:drawn_from_it}" in written
    assert r"\label{fig:printed}" not in written
    assert r"\label{fig:printed}" in document.figures(material, "none")


# --- summary ----------------------------------------------------------------------------------------------


class Results:
    """The part of `Material` that the fits of the summary are read from."""

    def __init__(self, **results: Any) -> None:
        self.results, self.figures = results, list(results)

    def result(self, figure: str) -> Any:
        return self.results[figure]

    def pick(self, figure: str, *keys: str) -> Any:
        value = self.results[figure]
        for key in keys:
            value = value[key]
        return value


def fit(validation: str, r2: float) -> dict[str, Any]:
    return {"validation": validation, "role": "general", "parameters": {"L0": 3.0}, "r2": r2, "r2_continual": r2 / 2}


def test_the_summary_has_every_fit_of_every_figure() -> None:
    forms = {form: {"parameters": {"B": 1.0}, "r2": r2} for form, r2 in (("power", 0.9), ("exponential", 0.8))}
    for form, one in forms.items():
        one["fit"] = {"law": f"shift_{form}"}
    results = Results(
        fig11={"fits": {"general": fit("books", 0.9)}},
        fig19={"fits": {"general": {"printed": fit("books", 0.7), "exchanged": fit("books", 0.8)}}},
        fig14={"sets": {"general": {"validation": "books", "forms": {"s1cpt": forms}}}},
        fig22={"gain": None},
    )
    material = cast(Material, results)
    found = {figure: summary.fits(material, figure) for figure in results.figures}
    assert (found["fig11"]["books"]["r2"], found["fig11"]["books"]["r2_cpt"]) == (0.9, 0.45)
    assert {name: one["validation"] for name, one in found["fig19"].items()} == {
        "fits.general.printed": "books",
        "fits.general.exchanged": "books",
    }
    power = found["fig14"]["books"]
    assert (power["law"], power["role"], power["r2_cpt"]) == ("shift_power", "general", 0.9)
    assert power["r2_of_forms"] == {"power": 0.9, "exponential": 0.8}
    assert found["fig14"]["sets.general.forms.s1cpt.exponential"]["r2"] == 0.8
    assert found["fig22"] == {}


def test_the_summary_states_each_finding(claims: findings.Claims) -> None:
    (one,) = [f for f in findings.evaluate(claims, {"fig02": {"spread": 0.1, "rise": 1}}) if f.name == "shift"]
    assert summary.finding(one) == {
        "finding": 2,
        "claim": "The shift overlaps.",
        "verdict": "partly",
        "statistic": {"spread": 0.1, "slope": None},
        "threshold": {"spread": {"above": None, "below": 0.2}, "slope": {"above": -0.3, "below": 0.3}},
    }


def test_the_summary_repeats_recommendations_without_fits_and_curves() -> None:
    result = {"regret": {"mean": 0.01}, "fit": {"law": "cpt"}, "table": list(range(1000)), "grid": [{"peak": 1.0}]}
    found = summary.recommendations(cast(Material, Results(recommendations=result)))
    assert found == {"regret": {"mean": 0.01}, "grid": [{"peak": 1.0}]}
    assert summary.recommendations(cast(Material, Results(fig02={}))) is None
