"""The findings as tests: claims are read, decided by numbers alone, printed, and set as a page of verdicts."""

import argparse
import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import jsonschema
import numpy as np
import pytest
import yaml
from pydantic import BaseModel, ConfigDict

from cpt_dynamics import config, figures, fitting
from cpt_dynamics.claims import CLAIMS, WORDS, Claims, Criterion, Verdict, contrasts, evaluate, load
from cpt_dynamics.cli import findings as command
from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.contrasts.estimates import mean_of
from cpt_dynamics.figures.contrasts.result import Contrast
from cpt_dynamics.figures.contrasts.result import Result as Contrasts
from cpt_dynamics.figures.fig02.result import Forms
from cpt_dynamics.figures.fig02.result import Result as Fig02
from cpt_dynamics.figures.fig02.result import Set as ShiftSet
from cpt_dynamics.figures.fig05.result import PotentialPanel, Trend
from cpt_dynamics.figures.fig05.result import Result as Fig05
from cpt_dynamics.figures.kit.latex import escape
from cpt_dynamics.figures.kit.result import FigureResult, to_json
from cpt_dynamics.figures.kit.shifts import MeasuredForm
from cpt_dynamics.figures.kit.text import Text
from cpt_dynamics.figures.lambda_.result import Result as Lambda
from cpt_dynamics.figures.seeds.result import LawOfSeeds, OfRole
from cpt_dynamics.figures.seeds.result import Result as Seeds
from cpt_dynamics.files import read_json, write_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.report import contrasts as planned
from cpt_dynamics.report import document, summary
from cpt_dynamics.report import verdicts as page
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.table import as_latex

P = TypeVar("P", bound=BaseModel)
ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "workflow/schemas/claims.schema.json").read_text())
MADE_UP: dict[str, Any] = {
    "asked": {
        "question": True,
        "text": "Nobody said whether R2 on D_pt rises.",
        "criteria": {"rise": {"value": "lambda.chosen_over_best", "above": 0, "says": "rise of R2"}},
    },
    "potential": {
        "finding": 3,
        "text": "A model of 100 % potential & more ends lower on D_cpt.",
        "test": "One-sided t-test over seeds.",
        "criteria": {
            "slope": {"value": "fig05.panels.without.trend.mean", "below": 0, "says": "change of the loss (nats)"},
            "p": {
                "value": "fig05.panels.without.trend.p",
                "above": -1,
                "below": 0.05,
                "says": "p that it does not fall",
            },
        },
    },
    "shift": {
        "finding": 2,
        "text": "The shift overlaps.",
        "criteria": {
            "spread": {"value": "lambda.best_share", "below": 0.2, "says": "spread on D_pt"},
            "slope": {"value": "fig14.sets.general.size.slope", "above": -0.3, "below": 0.3, "says": "slope"},
        },
    },
}


def write(path: Path, claims: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump({"claims": claims}, sort_keys=False), encoding="utf-8")
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
def claims(tmp_path: Path) -> Claims:
    return load(write(tmp_path / "claims.yaml", MADE_UP))


def of_lambda(share: float | None, over_best: float | None) -> Lambda:
    return Lambda(
        figure="lambda",
        title="Memory",
        fitted_runs=[],
        heldout_runs=[],
        left_out_together=[],
        validations={},
        carry_over=True,
        first_step=0,
        chosen=0.99,
        paper=0.999,
        best=0.99,
        best_by_set={},
        points=[],
        chosen_over_best=over_best,
        chosen_over_paper=1.0,
        best_share=cast(float, share),
    )


def part(kind: type[P], **known: Any) -> P:
    """A part of a result that has some of its fields and no others."""
    return kind.model_construct(**known)


def of_fig05(mean: float | None, p: float | None) -> Fig05:
    """A result of figure 5 that has what `MADE_UP` asks of it, and no more."""
    trend = Trend(mean=mean, p=p, n=3, unit="seed", slopes={})
    return part(Fig05, panels={"without": part(PotentialPanel, trend=trend)})


def evaluated(claims: Claims, *results: FigureResult) -> list[Verdict]:
    return evaluate(claims, {one.FIGURE: one for one in results})


def named(claims: Claims, *results: FigureResult) -> dict[str, Verdict]:
    return {one.name: one for one in evaluated(claims, *results)}


def of_the_kit() -> Claims:
    """The claims of the paper and the open questions of config/claims.yaml."""
    stated = load(ROOT / CLAIMS)
    return Claims(claims={name: one for name, one in stated.claims.items() if one.shown_in is None})


def every(claims: Claims, values: Any) -> dict[str, Any]:
    """Made-up results in which every path leads to a value; `values(claim, position, criterion)`."""
    results: dict[str, Any] = {}
    for number, claim in enumerate(claims.claims.values()):
        for position, one in enumerate(claim.criteria.values()):
            *above, last = one.value.split(".")
            inner = results
            for key in above:
                inner = inner.setdefault(key, {})
            inner[last] = values(number, position, one)
    return results


def inside(one: Criterion) -> float:
    if one.is_ is not None:
        return float(one.is_)
    if one.above is not None and one.below is not None:
        return (one.above + one.below) / 2
    return one.below - 1.5 if one.below is not None else (one.above or 0.0) + 1.5


def outside(one: Criterion) -> float:
    if one.is_ is not None:
        return float(not one.is_)
    return one.below + 0.1234567 if one.below is not None else (one.above or 0.0) - 0.1234567


def mixed(number: int, position: int, one: Criterion) -> float | None:
    """Claims in turn: supported, inconclusive, contradicted, inconclusive without a number, without any number."""
    kind = number % 5
    if kind == 4 or (kind == 3 and position == 0):
        return None
    return outside(one) if kind == 2 or (kind == 1 and position == 0) else inside(one)


# --- verdicts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "p", "verdict", "held"),
    [
        (-0.1, 0.01, "supported", 2),
        (-0.1, 0.2, "inconclusive", 1),
        (0.1, 0.2, "contradicted", 0),
        (None, None, "not testable", 0),
        (-0.1, None, "inconclusive", 1),
        (0.1, None, "contradicted", 0),
        (float("nan"), float("inf"), "not testable", 0),
        (float("nan"), 0.01, "inconclusive", 1),
        (0.0, 0.05, "contradicted", 0),  # a bound itself is not within it
        (-1, -1, "inconclusive", 1),
    ],
)
def test_the_verdict_follows_from_the_criteria(
    claims: Claims, mean: float | None, p: float | None, verdict: str, held: int
) -> None:
    found = named(claims, of_fig05(mean, p))["potential"]
    assert (found.word, found.held) == (verdict, held)


def test_numbers_of_a_figure_that_a_scale_lacks_are_not_defined(claims: Claims) -> None:
    found = named(claims, of_lambda(0.1, -1))
    assert [one.value for one in found["shift"].outcomes] == [0.1, None]
    assert found["shift"].word == "inconclusive"
    assert found["potential"].word == "not testable"
    assert found["asked"].word == "contradicted"


def test_claims_stand_in_the_order_of_the_findings_and_open_questions_last(claims: Claims) -> None:
    found = evaluate(claims, {})
    assert [one.name for one in found] == ["shift", "potential", "asked"]
    assert [one.claim.question for one in found] == [False, False, True]
    assert found[0].figures == ["lambda", "fig14"]


# --- misspelt keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("fig03.fits.general.chosen.r2_contniual", "no key 'r2_contniual'"),
        ("fig02.sets.genreal.r2_gain", "no key 'genreal'"),
        ("fig02.sets.general.forms.phase_step.pwoer.r2", "no key 'pwoer'"),
        ("fig05.panels.wihtout.order", "no key 'wihtout'"),
        ("fig20.sets.general.variants.lr_weighted_03.difference.low", "no key 'lr_weighted_03'"),
        ("seeds.law.strong.first_on_other", "no key 'first_on_other'"),
        ("seeds.noise_relativ.general", "no key 'noise_relativ'"),
        ("fig30.fits.general.chosen.r2", "there is no figure 'fig30'"),
        ("fig03.fits.general.chosen", "no number: end the path at one"),
        ("fig05.panels.without.best.agree", "no number"),
    ],
)
def test_a_misspelt_path_is_refused_when_the_file_is_loaded(tmp_path: Path, path: str, said: str) -> None:
    raw = config.read_yaml(ROOT / CLAIMS)
    raw["claims"]["joint_fit"]["criteria"]["r2_general"]["value"] = path
    file = tmp_path / "claims.yaml"
    file.write_text(yaml.safe_dump(raw))
    with pytest.raises(UserError) as error:
        load(file)
    message = str(error.value)
    assert message.startswith(f"{file}: claims.joint_fit.criteria.r2_general.value: ")
    assert said in message
    assert "\n" not in message


def test_a_renamed_key_of_the_seeds_is_an_error_and_not_a_verdict(scale_of_seeds: Path) -> None:
    run()
    whole = scale_of_seeds.read_text(encoding="utf-8")
    for key in ("noise_relative", "first_on_others", "law"):
        scale_of_seeds.write_text(whole.replace(f'"{key}":', f'"renamed_{key}":'), encoding="utf-8")
        with pytest.raises(UserError, match=rf"fits/seeds\.json: .*{key}.*snakemake seeds") as error:
            run()
        assert "\n" not in str(error.value)


def test_a_checker_of_types_finds_a_misspelt_attribute_of_a_result(tmp_path: Path) -> None:
    code = tmp_path / "snippet.py"
    code.write_text(
        "from cpt_dynamics.figures.fig03.result import Result\n\n\n"
        "def titles(result: Result) -> tuple[str, str]:\n    return result.title, result.tilte\n"
    )
    command = [sys.executable, "-m", "mypy", str(code)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert re.findall(r"snippet.py:(\d+): error: (.*?);", done.stdout) == [("5", '"Result" has no attribute "tilte"')]


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
        (changed({"text": "No kind.", "criteria": MADE_UP["asked"]["criteria"]}, "new"), "claims.new: give one of"),
        (changed("fig99", "shift", "shown_in"), "claims.shift: give one of"),
    ],
)
def test_a_mistake_in_the_claims_is_one_line(tmp_path: Path, edit: dict[str, Any], said: str) -> None:
    path = write(tmp_path / "claims.yaml", edit)
    with pytest.raises(UserError) as error:
        load(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_claims_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"claims\.yaml does not exist"):
        load(tmp_path / "claims.yaml")


def test_the_claims_of_the_kit() -> None:
    jsonschema.validate(config.read_yaml(ROOT / CLAIMS), SCHEMA)
    claims = of_the_kit()
    assert {claim.finding for claim in claims.claims.values()} == {1, 2, 3, 4, 5, None}
    found = evaluate(claims, every(claims, mixed))
    assert {one.word for one in found} == set(WORDS)
    held = evaluate(claims, every(claims, lambda number, position, one: inside(one)))
    assert {one.word for one in held} == {"supported"}
    failed = evaluate(claims, every(claims, lambda number, position, one: outside(one)))
    assert {one.word for one in failed} == {"contradicted"}


def test_a_check_of_a_figure_that_is_not_there_is_named(tmp_path: Path) -> None:
    checked = {"text": "Mine.", "shown_in": "mine", "criteria": MADE_UP["asked"]["criteria"]}
    with pytest.raises(UserError, match="there is no figure 'mine'"):
        load(write(tmp_path / "claims.yaml", changed(checked, "mine")))


def test_the_schema_refuses_what_the_kit_refuses() -> None:
    for edit in (changed("t", "shift", "txet"), changed(6, "shift", "finding"), changed({}, "shift", "criteria")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"claims": edit}, SCHEMA)
    del (without := changed(1, "shift", "finding"))["shift"]["criteria"]["spread"]["below"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"claims": without}, SCHEMA)


# --- the command ------------------------------------------------------------------------------------------


def run(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_findings(parser)
    command.run_findings(parser.parse_args(arguments))


def scale_of(world: Path, figure: str, stated: dict[str, Any], result: FigureResult) -> Layout:
    """A scale with one figure and its result."""
    write(world / "config/claims.yaml", stated)
    entries = config.read_yaml("config/experiments.yaml")
    entries["figures"] = {figure: {"title": "Mine", "runs": ["fork"]}}
    Path("config/experiments.yaml").write_text(yaml.safe_dump(entries), encoding="utf-8")
    layout = Layout(config.load([]))
    write_json(layout.fit(figure), to_json(result))
    return layout


@pytest.fixture
def scale(world: Path) -> Layout:
    return scale_of(world, "lambda", MADE_UP, of_lambda(0.1234567, 0.5))


@pytest.fixture
def scale_of_seeds(world: Path) -> Path:
    """The file of the seeds' result."""
    noise: OfRole = {Role.GENERAL: 0.01, Role.STRONG: 0.02}
    law = LawOfSeeds(
        runs={}, fits={}, parameters={}, combinations={}, errors={}, first_on_others=0.004, first_over_own=1.1, final={}
    )
    result = Seeds(
        figure="seeds",
        title="Mine",
        runs=[],
        validations={},
        groups={},
        skipped=[],
        seeds=[1, 2],
        noise=noise,
        noise_relative=noise,
        along={},
        offset=noise,
        residual=noise,
        offset_by_chance=noise,
        noise_of_sets={},
        noise_relative_of_sets={},
        final={},
        law=dict.fromkeys(Role, law),
    )
    criteria = {
        "noise": {"value": "seeds.noise_relative.general", "below": 0.1, "says": "noise"},
        "others": {"value": "seeds.law.strong.first_on_others", "below": 0.1, "says": "error on other seeds"},
    }
    stated = {"repeats": {"finding": 4, "text": "Seeds agree.", "criteria": criteria}}
    return scale_of(world, "seeds", stated, result).fit("seeds")


def test_the_command_prints_a_line_a_claim(scale: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    assert [re.sub(" +", " ", line) for line in capsys.readouterr().out.splitlines()] == [
        "inconclusive The shift overlaps.",
        "not testable A model of 100 % potential & more ends lower on D_cpt.",
        "questions that the paper leaves open:",
        "supported Nobody said whether R2 on D_pt rises.",
        "2 claims: 1 inconclusive, 1 not testable",
    ]
    assert not (scale.root / "findings.json").exists()


def test_the_command_prints_criteria_with_values_and_bounds(scale: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    run("--all")
    printed = [re.sub(" +", " ", line).strip() for line in capsys.readouterr().out.splitlines()]
    assert "holds 0.1235 below 0.2 spread on D_pt (lambda.best_share)" in printed
    assert "- not defined above -0.3, below 0.3 slope (fig14.sets.general.size.slope)" in printed


def test_the_command_writes_json_and_a_table(scale: Layout) -> None:
    run("--write")
    found = read_json(scale.root / "findings.json")
    assert found["scale"] == "tiny"
    assert found["counts"] == {
        "supported": 0,
        "contradicted": 0,
        "inconclusive": 1,
        "not testable": 1,
    }
    shift = found["claims"]["shift"]
    assert (shift["finding"], shift["claim"], shift["verdict"]) == (2, "The shift overlaps.", "inconclusive")
    assert (found["schema"], found["planned"]) == ("cpt-dynamics/findings/3", {})  # nothing is planned for this scale
    assert shift["criteria"]["spread"] == {
        "says": "spread on D_pt",
        "path": "lambda.best_share",
        "value": 0.1234567,
        "above": None,
        "below": 0.2,
        "is": None,
        "holds": True,
    }
    rows = list(csv.DictReader((scale.root / "findings.csv").open()))
    assert len(rows) == 5
    assert (rows[1]["measured"], rows[1]["above"], rows[1]["holds"]) == ("not defined", "-0.3", "no")


def test_a_fit_that_was_not_made_yet_is_named(scale: Layout) -> None:
    scale.fit("lambda").unlink()
    with pytest.raises(UserError, match=r"fits/lambda\.json does not exist: make it first"):
        run()


# --- the report -------------------------------------------------------------------------------------------


def stub(found: list[Verdict], names: dict[str, str]) -> Material:
    """The part of `Material` that the page of verdicts reads; names: what the report calls its figures."""
    return cast(Material, SimpleNamespace(verdicts=found, names=names, figures=list(names)))


def test_plain_text_of_claims_becomes_latex() -> None:
    assert page.prose("R2 on D_pt & D_cpt\n  for 10 % of x_y") == r"$R^2$ on \Dpt{} \& \Dcpt{} for 10\,\% of x\_y"
    assert page.prose("p that eps = 0.1 is in place") == r"$p$ that $\varepsilon$ = 0.1 is in place"


def test_the_page_of_verdicts_has_words_marks_counts_and_links(claims: Claims) -> None:
    found = evaluated(claims, of_lambda(0.1, -1), of_fig05(0.1, 0.01))
    material = stub(found, {"lambda": "S1", "fig05": "5", "seeds": "S2"})
    lines = page.verdicts(material).splitlines()
    row = next(line for line in lines if "The shift overlaps." in line)
    assert row.startswith(r"\verdictinconclusive{} & ")
    assert r"\hyperref[claim:shift]{1 of 2}" in row
    assert r"\hyperref[fig:lambda]{Fig.~S1}, Fig.~14 (not here)" in row
    asked = next(line for line in lines if "Nobody said" in line)
    assert asked.startswith(r"\verdictcontradicted{} & ")
    headings = [line for line in lines if r"\multicolumn" in line]
    assert [re.search(r"textbf\{([^}.]+)", line)[1] for line in headings] == [  # type: ignore[index]
        "Finding 2",
        "Finding 3",
        page.FINDINGS[None],
    ]
    assert page.macros(found) == {
        "ClaimCount": "2",
        "ClaimsSupported": "0",
        "ClaimsContradicted": "0",
        "ClaimsInconclusive": "2",
        "ClaimsNotTestable": "0",
        "CriteriaCount": "4",
        "CriteriaHeld": "2",
        "QuestionCount": "1",
        "QuestionsSupported": "0",
    }


def test_each_criterion_is_shown_with_what_was_measured_and_wanted(claims: Claims) -> None:
    found = evaluated(claims, of_fig05(0.12345, 0.01))
    written = page.criteria(stub(found, {"fig05": "5"}))
    assert r"\label{claim:potential}\verdictinconclusive{}: A model of 100\,\% potential \& more" in written
    assert r"\emph{Test:} One-sided t-test over seeds." in written
    assert rf"\emph{{Test:}} {page.BOUNDS_ALONE}" in written
    assert r"change of the loss (nats) & 0.1235 & $<$ $0$ & \textbf{no} \\" in written
    assert r"$p$ that it does not fall & 0.01000 & $-1$ to $0.05$ & yes \\" in written
    assert r"slope & not defined & $-0.3$ to $0.3$ & -- \\" in written


def test_verdicts_that_change_change_the_page(claims: Claims) -> None:
    results = (of_fig05(-0.1, 0.01), of_fig05(0.1, 0.5))
    pages = [page.verdicts(stub(evaluated(claims, result), {"fig05": "5"})) for result in results]
    assert [r"\verdictsupported" in one for one in pages] == [True, False]
    assert [r"\verdictcontradicted" in one for one in pages] == [False, True]


SHELL = r"""\documentclass[11pt,a4paper]{article}
\usepackage{preamble}
%s
\begin{document}
\input{verdicts}
%s
\end{document}
"""


def measured() -> Material:
    """The part of `Material` that the table of contrasts reads: a measured one, one so far, one without a value."""
    kinds = (
        Contrast(
            losses=dict.fromkeys(("general", "strong"), mean_of({"a": -0.0312, "b": -0.0412, "c": -0.0509})),
            rivals={"log-linear interpolation between the fitted ratios at the same step": {"strong": -1.23e-7}},
        ),
        Contrast(
            losses={"proxy": mean_of({"a": 0.5})}, missing=["peak_100_potential_100.seed3", "hidden_batch_double"]
        ),
        Contrast(missing=[f"peak_100_potential_100.seed{i}" for i in range(9)]),
        Contrast(reason="each recommendation is an end of the ratios that are tried, so that none counts"),
    )
    names = contrasts.of_scale(load(ROOT / CLAIMS), "prose")
    result = Contrasts(
        figure="contrasts",
        title="Planned",
        validations={},
        noise={},
        contrasts={name: kinds[i % len(kinds)] for i, name in enumerate(names)},
    )
    return cast(Material, SimpleNamespace(config=SimpleNamespace(scale="prose"), result=lambda _: result))


def test_the_table_of_contrasts_has_a_row_a_loss(claims: Claims) -> None:
    made = planned.table(measured())
    rows = [[cell.text for cell in row] for row in made.rows]
    assert rows[0][0] == "supported"
    assert rows[0][2:5] == ["D_pt", "-0.0411 (-0.0577 to -0.0245)", "< -0.01 nats"]
    assert rows[1][:3] == ["", "", "D_cpt"]
    assert rows[1][5].startswith("log-linear interpolation")
    assert any(row[3] == "missing: peak_100_potential_100.seed3, hidden_batch_double" for row in rows)
    assert sum(row[0] != "" for row in rows) == len(contrasts.of_scale(load(ROOT / CLAIMS), "prose"))
    assert "supported" in made.rows[0][0].latex


@pytest.mark.skipif(document.tex() is None, reason=document.NO_TEX)
def test_the_page_of_verdicts_is_set_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = of_the_kit()
    results = every(claims, mixed)
    shown = [figure for figure in claims.figures if figure != "fig14"]
    del results["fig14"]
    found = evaluate(claims, results)
    material = stub(found, {figure: str(number) for number, figure in enumerate(shown)})
    monkeypatch.chdir(ROOT)
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated/verdicts.tex").write_text(page.verdicts(material))
    (tmp_path / "generated/criteria.tex").write_text(page.criteria(material))
    for name in ("preamble.sty", "verdicts.tex"):
        shutil.copy(ROOT / "paper" / name, tmp_path / name)
    (tmp_path / "generated/table_contrasts.tex").write_text(as_latex(planned.table(measured()), "table_contrasts"))
    macros = "\n".join(rf"\newcommand{{\{name}}}{{{value}}}" for name, value in page.macros(found).items())
    macros += "\n\\newif\\ifHasFigContrasts\\HasFigContraststrue"
    labels = "\n".join(rf"\section{{{escape(figure)}}}\label{{fig:{figure}}}" for figure in shown)
    (tmp_path / "report.tex").write_text(SHELL % (macros, labels))
    document.compile(tmp_path, "2026-01-02T03:04:05+00:00")
    log = (tmp_path / "build/report.log").read_text(errors="replace")
    assert not re.search(r"LaTeX Warning: (Reference|Hyper|There were undefined)|Overfull", log)
    aux = (tmp_path / "build/report.aux").read_text()
    pages = [int(n) for n in re.findall(r"newlabel\{tab:(?:verdicts|criteria)\}\{\{\d+\}\{(\d+)\}", aux)]
    assert len(pages) == 2
    assert pages[1] > pages[0]  # the verdicts fit on one page


def test_a_figure_leads_to_its_data_and_to_its_rule(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "text", lambda data, result: Text("a curve"))
    shutil.copytree(ROOT / "paper/templates", world / "paper/templates")
    scale_of(world, "lambda", MADE_UP, of_lambda(0.1, 0.5))
    entries = config.read_yaml("config/experiments.yaml")
    entries["figures"] |= {
        "seeds": {"title": "Drawn", "curves": "none", "needs": ["lambda"]},
        "printed_fig04": {"title": "Printed", "curves": "none"},
    }
    Path("config/experiments.yaml").write_text(yaml.safe_dump(entries), encoding="utf-8")
    material = Material(config.load([]))
    monkeypatch.setattr(Material, "of_figure", lambda self, figure: of_lambda(0.1, 0.5))
    written = document.figures(material, "runs")
    assert r"\datafile{../figures/lambda.csv}{figures/lambda.csv}" in written
    assert r"\datafile{../../../workflow/rules/figures.smk}{snakemake lambda}" in written
    # what is drawn from fits of this scale is a result of it
    assert r"\label{fig:seeds}" in written
    assert r"\label{fig:printed_fig04}" not in written
    assert r"\label{fig:printed_fig04}" in document.figures(material, "none")


# --- summary ----------------------------------------------------------------------------------------------


class Made(BaseModel):
    """A result with any fields."""

    model_config = ConfigDict(extra="allow")


def fit(validation: str, r2: float) -> dict[str, Any]:
    return {"validation": validation, "role": "general", "parameters": {"L0": 3.0}, "r2": r2, "r2_continual": r2 / 2}


def form(name: str, r2: float) -> MeasuredForm:
    steps = np.arange(1.0, 60.0)
    found = fitting.fit(f"shift_{name}", {"s1cpt": steps}, 1 - (1 + steps) ** -0.5, n_starts=1)
    known: dict[str, Any] = {"law": found.law.name, "parameters": {"B": 1.0}, "r2": r2, "fit": found}
    return part(MeasuredForm, **known)


def test_the_summary_has_every_fit_of_every_figure() -> None:
    forms = part(Forms, s1cpt={name: form(name, r2) for name, r2 in (("power", 0.9), ("exponential", 0.8))})
    results = {
        "fig11": Made(fits={"general": fit("books", 0.9)}),
        "fig19": Made(fits={"general": {"printed": fit("books", 0.7), "exchanged": fit("books", 0.8)}}),
        "fig02": part(Fig02, sets={Role.GENERAL: part(ShiftSet, validation="books", forms=forms)}),
        "fig22": Made(gain=None),
    }
    material = cast(Material, SimpleNamespace(of_figure=results.__getitem__))
    found: dict[str, Any] = {figure: summary.fits(material, figure) for figure in results}
    assert (found["fig11"]["books"]["r2"], found["fig11"]["books"]["r2_cpt"]) == (0.9, 0.45)
    assert {name: one["validation"] for name, one in found["fig19"].items()} == {
        "fits.general.printed": "books",
        "fits.general.exchanged": "books",
    }
    power = found["fig02"]["books"]
    assert (power["law"], power["role"], power["r2_cpt"]) == ("shift_power", "general", 0.9)
    assert power["r2_of_forms"] == {"power": 0.9, "exponential": 0.8}
    assert found["fig02"]["sets.general.forms.s1cpt.exponential"]["r2"] == 0.8
    assert found["fig22"] == {}


def test_the_summary_states_each_finding(claims: Claims) -> None:
    assert summary.finding(named(claims, of_lambda(0.1, 1))["shift"]) == {
        "finding": 2,
        "claim": "The shift overlaps.",
        "verdict": "inconclusive",
        "statistic": {"spread": 0.1, "slope": None},
        "threshold": {"spread": {"above": None, "below": 0.2}, "slope": {"above": -0.3, "below": 0.3}},
    }


def test_the_summary_repeats_recommendations_without_fits_and_curves() -> None:
    made = Made(regret={"mean": 0.01}, fit={"law": "cpt"}, table=list(range(1000)), grid=[{"peak": 1.0}])
    found = summary.recommendations(cast(Material, SimpleNamespace(result=lambda kind: made)))
    assert found == {"regret": {"mean": 0.01}, "grid": [{"peak": 1.0}]}
    assert summary.recommendations(cast(Material, SimpleNamespace(result=lambda kind: None))) is None
