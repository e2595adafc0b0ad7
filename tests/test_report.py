"""The report: numbers, tables, sources and PDF, from what the analysis makes of curves that follow Eq. 4."""

import ast
import csv
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from worlds.curves import areas_at, curves_of, losses
from worlds.released import release

from cpt_dynamics import claims, cli, config, figures
from cpt_dynamics.claims.verdicts import Outcome, of_figure, word
from cpt_dynamics.config import Role
from cpt_dynamics.curves import public as curves_of_others
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Run, estimates
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.kit.latex import SET, escape, number, percent
from cpt_dynamics.figures.kit.result import FigureResult, to_json
from cpt_dynamics.figures.lambda_ import analyse as lambda_
from cpt_dynamics.figures.public_curves import analyse as public_curves
from cpt_dynamics.figures.public_curves.laws import LABELS
from cpt_dynamics.files import read_json, write_json
from cpt_dynamics.fitting import varpro
from cpt_dynamics.report import document, macros, public, tables, templates, verdicts
from cpt_dynamics.report.agreement import results as scales
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.summary import summary

ROOT = Path(__file__).parent.parent
LAW = {
    "general": {"L0": 3.0, "A": 0.4, "alpha": 0.5, "C1": 0.3, "C2": 0.3, "B": 0.6, "E": 15.0, "beta": 0.3},
    "strong": {"L0": 2.5, "A": 0.5, "alpha": 0.6, "C1": 0.2, "C2": 0.3, "B": -0.9, "E": 40.0, "beta": 0.3},
}
FORMATTED = 1000.0  # a number from which on its format depends on its size
FINISHED = "2026-01-02T03:04:05+00:00"


def phase(name: str, role: str, steps: str, **schedule: Any) -> dict[str, Any]:
    return {"phase": name, "data": {role: 1}, "steps": steps, "schedule": schedule}


def pretraining(steps: str = "pretraining", role: str = "general", **schedule: Any) -> dict[str, Any]:
    return {"phases": [phase("pretraining", role, steps, **schedule)]}


def after(run: str, at: str | None = None, **schedule: Any) -> dict[str, Any]:
    return {"after": run, "phases": [phase("continual", "strong", "continual", **schedule)]} | (
        {"at": at} if at else {}
    )


EXPERIMENTS: dict[str, Any] = {
    "runs": {
        "pt_constant": pretraining(shape="constant"),
        "hidden_constant": pretraining("total", shape="constant"),
        "scratch_constant": pretraining("total", "strong", shape="constant"),
        "cpt_constant": after("pt_constant", shape="constant", peak="last"),
        "transfer_1": after("pt_constant", "1/6 * total", shape="constant", peak="last"),
        "transfer_2": after("pt_constant", "2/6 * total", shape="constant", peak="last"),
        "transfer_3": after("pt_constant", "3/6 * total", shape="constant", peak="last"),
        "pt_wsd": pretraining(shape="wsd", end=0.1),
        "cpt_wsd": after("pt_wsd", shape="wsd", end=0.1),
        "pt_cosine": pretraining(shape="cosine", end=0.0),
        "cpt_cosine": after("pt_cosine", shape="cosine", end=0.1),
        "cpt_linear": after("pt_wsd", shape="linear", peak="last", end=0.0),
    },
    "figures": {
        "fig01": {
            "title": "CPT moves between two curves",
            "runs": ["hidden_constant", "scratch_constant", "cpt_constant"],
        },
        "fig02": {
            "title": "The shift",
            "runs": ["hidden_constant", "cpt_constant", "transfer_1", "transfer_2", "transfer_3"],
        },
        "fig03": {
            "title": "One equation for all_curves & more",
            "runs": ["cpt_constant", "cpt_wsd", "cpt_cosine"],
        },
        "fig10": {
            "title": "Unseen schedules",
            "runs": ["cpt_constant", "cpt_wsd", "cpt_cosine"],
            "heldout": ["cpt_linear"],
            "needs": ["fig03"],
        },
        "lambda": {
            "title": "Sensitivity to lambda",
            "runs": ["cpt_wsd", "cpt_cosine"],
            "heldout": ["cpt_linear"],
            "needs": ["fig03"],
        },
        "printed_fig05": {"title": "Loss potential, as printed", "curves": "none"},
        "public_curves": {"title": "Public curves", "curves": "public"},
    },
}


def synthetic(material: Material, figure: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves of a figure that follow Eq. 4 but for one part in a thousand, and their schedules."""
    roles, lambda_ = material.config.roles, material.config.law.lambda_
    shifts = {"general": 1.0, "strong": -1.2}  # of training from scratch

    def exact(run: Run) -> dict[str, np.ndarray]:
        areas = areas_at(run.lr, run.transfer_step, np.arange(1, run.steps + 1), lambda_)
        shift = shifts if run.name == "scratch_constant" else dict.fromkeys(shifts, 0.0)
        return {getattr(roles, role): losses("cpt", LAW[role], areas) + shift[role] for role in LAW}

    runs = [material.experiments.runs[name] for name in material.experiments.runs_of(figure)]
    table, schedules = curves_of(runs, lambda run: range(40, run.steps + 1, 40), exact, {"small": 1000}, 100)
    random = np.random.default_rng(0)
    # shared steps are trained once, so the noise is a function of the step and of what came before
    keys = table["lr"].astype(str) + table["loss"].round(9).astype(str) + table["step"].astype(str)
    noise = dict(zip(keys, random.normal(0, 1e-3, len(keys)), strict=True))
    table["loss"] *= 1 + keys.map(noise)
    return table, schedules


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that a report is made from; only training and drawing are made up."""
    root = tmp_path_factory.mktemp("report")
    shutil.copytree(ROOT / "paper", root / "paper")
    shutil.copytree(ROOT / "data/published", root / "data/published")
    (root / "config").mkdir()
    shutil.copy(ROOT / "config/claims.yaml", root / "config/claims.yaml")
    (root / "config/experiments.yaml").write_text(yaml.safe_dump(EXPERIMENTS, sort_keys=False))
    raw = config.merge(
        config.read_yaml(ROOT / "config/config.yaml"), config.read_yaml(ROOT / "config/scales/smoke.yaml")
    )
    raw |= {
        "scale": "made_up",
        "lengths": {"pretraining": 1200, "continual": 600, "warmup": 60, "rewarmup": 20},
    }
    raw |= {"law": {"lambda": 0.97}, "checkpoint_every": 100}
    (root / "config/config.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    search = varpro.search
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(lambda_, "MEMORIES", ())  # in place of a minute of fits
        patch.setattr(varpro, "search", lambda problem, starts, *rest: search(problem, min(starts, 2), *rest))
        fill(Material(config.load([])))
        compare(Material(config.load([])))
    return root


def fill(material: Material) -> None:
    layout = material.layout
    found: dict[str, FigureResult] = {}
    for figure in material.figures:
        made_up = material.experiments.figures[figure].curves == "runs"
        table, schedules = synthetic(material, figure if made_up else "fig01")
        data = FigureData(figure, material.config, material.experiments, found, (table, schedules))
        found[figure] = figures.analyse(data)
        write_json(layout.fit(figure), to_json(found[figure]))
        for suffix in ("pdf", "csv"):
            layout.figure(figure, suffix).parent.mkdir(parents=True, exist_ok=True)
        layout.figure(figure, "csv").write_text("step,loss\n1,2\n")
        drawing(layout.figure(figure, "pdf"), table)
    for number_, branch in enumerate(material.plan.branches.values()):
        manifest = {
            "branch": branch.id,
            "started": f"2026-01-02T03:0{number_ % 4}:00+00:00",
            "finished": FINISHED if number_ == 0 else "2026-01-02T03:04:00+00:00",
            "cpu_seconds": 100.0,
            "run": branch.run.name,
            "epochs": dict.fromkeys(branch.run.corpora, 0.5),
            "wall_seconds": 60.0,
            "machine": {"processor": "Test processor", "cores": 2, "system": "Linux x86_64"},
            "numerics": {
                "device": "cpu",
                "precision": "float32",
                "compile": False,
                "threads": 1,
                "torch": "2.13.0",
            },
            "versions": {"cpt_dynamics": "0.1.0", "python": "3.11.9", "torch": "2.13.0", "numpy": "2.4.6"},
        }
        write_json(layout.branch(branch.id).with_suffix(".json"), manifest)
    for name in material.config.validations():
        source = {
            "corpus": name,
            "licence": "BSD & others",
            "sha256": "a" * 64,
            "matches": name != "small_code",
        }
        write_json(layout.documents(name) / "source.json", source | {"expected_sha256": "b" * 64, "warnings": []})
        write_json(layout.text(name) / "split.json", {"documents": 12345, "bytes": 6_780_000})
        for part in ("train", "validation"):
            write_json(layout.tokens(name, part).with_suffix(".json"), {"count": 1_234_567})


def compare(material: Material) -> None:
    """Release the same results as another scale's, and compare with them."""
    results = scales.scale_results(material.results, material.verdicts, material.config, "0.1.0")
    release(Path(material.config.released) / "other_one", results.model_dump(mode="json", by_alias=True))
    assert cli.main(["agreement"]) == 0


def drawing(path: Path, table: pd.DataFrame) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 3))
    axes = figure.subplots()
    for _, rows in table.groupby(["run", "validation"]):
        axes.plot(rows["step"], rows["loss"])
    figure.savefig(path, metadata={"CreationDate": None})


@pytest.fixture
def material(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Material:
    """A copy of the folder to work in."""
    shutil.copytree(built, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return Material(config.load([]))


def change(path: Path, value: Any, *keys: Any) -> None:
    """Set one value of a JSON file."""
    found = inner = read_json(path)
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    write_json(path, found)


# --- LaTeX ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", r"a\_b"),
        ("50 % & more", r"50 \% \& more"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("λ ≤ 1", r"$\lambda$ $\le$ 1"),
        ("Zürich", "Zürich"),
        ("中", "[U+4E2D]"),
        ("Ħal ŧo ℃", "[U+0126]al [U+0167]o °C"),
        ("a\tb\r\n\x1b[0m\x7f", "a b  [U+001B][0m[U+007F]"),
        ("e\u0301 ș ﬁ ⅓ \u202eb", "e[U+0301] s fi [U+2153] [U+202E]b"),
        ("\ud800", "[U+D800]"),
    ],
)
def test_any_text_is_escaped(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_escaped_text_holds_nothing_but_what_tex_sets() -> None:
    """The test that compiles everything takes longer, and needs TeX."""
    assert set(escape("".join(map(chr, range(sys.maxunicode + 1))))) <= SET


@pytest.mark.slow
@pytest.mark.skipif(not document.tex(), reason=document.NO_TEX)
def test_tex_sets_every_character(tmp_path: Path) -> None:
    """In text, a heading and a caption, and first in a row of a table."""
    chosen = [*range(0x3000), *range(0x3000, sys.maxunicode + 1, 97)]
    lines = [escape("".join(map(chr, chosen[i : i + 64]))) for i in range(0, len(chosen), 64)]
    alone = [escape(chr(code)) for code in range(0x20, 0x250)]
    rows = templates.render("table", align="ll", caption=lines[5], label="t", head="a & b", note=lines[1],
                            rows=[[one, one] for one in alone])  # fmt: skip
    text = "\n\n".join(rf"{line} \textbf{{{line}}} \emph{{{line}}}" for line in lines)
    shutil.copy("paper/preamble.sty", tmp_path)
    (tmp_path / "report.tex").write_text(
        rf"\documentclass{{article}}\usepackage{{preamble}}\begin{{document}}\section{{{lines[3]}}}"
        f"{rows}\n{text}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    assert document.compile(tmp_path, "2026-01-01T00:00:00+00:00").stat().st_size > 100_000
    assert "Missing character" not in (tmp_path / "build/report.log").read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize(
    ("value", "digits", "text", "tex"),
    [
        (0.49, 3, "0.490", "0.490"),
        (-0.666, 3, "-0.666", "$-0.666$"),
        (5662, 4, "5662", "5662"),
        (5662, 3, "5.66e3", r"$5.66\times 10^{3}$"),
        (1e-6, 2, "1.0e-6", r"$1.0\times 10^{-6}$"),
        (None, 3, "", "--"),
    ],
)
def test_numbers(value: float | None, digits: int, text: str, tex: str) -> None:
    cell = number(value, digits)
    assert (cell.text, cell.latex) == (text, tex)


def test_percentages() -> None:
    assert percent(0.0123).latex == r"1.23\,\%"


@pytest.mark.parametrize(("seconds", "text"), [(61, "61 seconds"), (3000, "50 minutes"), (9000, "2.5 hours")])
def test_durations(seconds: float, text: str) -> None:
    assert macros.duration(seconds) == text


@pytest.mark.parametrize(
    ("figure", "letters"),
    [
        ("fig03", "FigThree"),
        ("fig10", "FigTen"),
        ("fig22", "FigTwentyTwo"),
        ("fig20b", "FigTwentyB"),
        ("lambda", "FigLambda"),
    ],
)
def test_figures_in_names_of_macros(figure: str, letters: str) -> None:
    assert macros.words(figure) == letters


# --- checks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "lower", "upper", "holds"),
    [
        (0.5, 0.0, 1.0, True),
        (1.5, 0.0, 1.0, False),
        (-0.5, 0.0, None, False),
        (0.5, None, 0.4, False),
        (None, 0.0, None, False),
        (float("nan"), None, 1.0, False),
    ],
)
def test_a_check_holds_within_its_bounds_and_never_without_a_value(
    value: float | None, lower: float | None, upper: float | None, holds: bool
) -> None:
    assert outcome(value, lower, upper).holds is holds


def outcome(value: float | None, above: float | None, below: float | None = None) -> Outcome:
    return Outcome("", "", "fig03.x", value, above, below, None, ".3g", None)


def test_the_verdict_follows_from_the_checks() -> None:
    good, bad, unknown = outcome(1.0, 0.0), outcome(-1.0, 0.0), outcome(None, 0.0)
    assert word([good, good]) == "supported"
    assert word([good, bad]) == "inconclusive"
    assert word([bad]) == "contradicted"
    assert word([unknown]) == "not testable"


def test_a_figure_without_a_bound_is_not_checked(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Material, "checks", lambda self, figure: [])
    assert document.overview(material).count("is not checked") == len(material.figures)
    assert r"\textbf{" not in document.figures(material, "runs").replace(r"\textbf{not}", "")


def test_curves_that_follow_the_law_agree_with_the_paper(material: Material) -> None:
    found = {figure: material.checks(figure) for figure in material.figures}
    assert [one.says for checks in found.values() for one in checks if not one.holds] == []
    assert {figure: len(checks) for figure, checks in found.items()} == {
        "fig01": 4,
        "fig02": 10,
        "fig03": 8,
        "fig10": 8,
        "lambda": 3,
        "printed_fig05": 10,
    }


def test_a_worse_result_changes_the_verdict_and_the_text(material: Material) -> None:
    change(material.layout.fit("fig03"), 0.5, "fits", "general", "chosen", "r2")
    change(material.layout.fit("fig10"), 1.7, "predictions", "strong", "runs", "cpt_linear", "ratio")
    fresh = Material(material.config)
    found = {one.name: one.latex for one in macros.macros(fresh)}
    assert found["FigThreeVerdict"] == found["FigTenVerdict"] == found["Verdict"] == "inconclusive"
    assert (found["Checks"], found["ChecksHeld"]) == ("33", "31")
    assert found["FigThreeRsqGeneral"] == "0.5000"
    assert r"\textbf{7 of 8 checks hold: inconclusive.}" in document.figures(fresh, "runs")


def test_every_bound_of_the_report_is_a_line_of_the_claims(material: Material) -> None:
    """Each row of a check shows an outcome, and each outcome has the bounds of its criterion in config/claims.yaml."""
    folder = write_sources(material)
    stated = {(name, key): c for name, one in claims.load().claims.items() for key, c in one.criteria.items()}
    shown: dict[str, Outcome] = {}  # row, in LaTeX
    for one in material.verdicts:
        for outcome_ in one.outcomes:
            line = stated[one.name, outcome_.name.partition(".")[0]]
            assert (outcome_.above, outcome_.below, outcome_.is_) == (line.above, line.below, line.is_)
            cells = [cell.latex for cell in verdicts.cells(outcome_)]
            shown[" & ".join([*cells, verdicts.held(outcome_)])] = outcome_  # of a figure
            shown[" & ".join([*cells[:3], verdicts.held(outcome_)])] = outcome_  # of a claim
    rows = checked_rows(folder)
    assert len(rows) > 100
    assert [row for row in rows if row not in shown] == []
    for row in rows:
        seen = shown[row]
        limits = [limit for limit in (seen.above, seen.below) if limit is not None]
        wanted = row.split(" & ")[2]
        assert all(
            any(printed == pytest.approx(limit, rel=1e-5) for printed in numbers_of(wanted)) for limit in limits
        ), row
        assert len(numbers_of(wanted)) == len(limits), row


def checked_rows(folder: Path) -> list[str]:
    """The rows of checks and criteria in the generated parts of a report."""
    rows = []
    for part in ("results", "printed", "public"):
        text = (folder / f"generated/{part}.tex").read_text()
        rows += re.findall(r"^(.*) \\\\ \\addlinespace\[2pt\]$", text, flags=re.MULTILINE)
    criteria = (folder / "generated/criteria.tex").read_text().partition(r"\endfoot")[2]
    rows += re.findall(r"^([^\\\n].*|\$.*) \\\\\*?$", criteria, flags=re.MULTILINE)
    table = (folder / "generated/table_checks.tex").read_text().partition(r"\endfoot")[2]
    return rows + [row.partition(" & ")[2] for row in re.findall(r"^(.* & .*) \\\\$", table, flags=re.MULTILINE)]


def numbers_of(latex: str) -> list[float]:
    """The numbers that a cell prints, with per cent and powers of ten."""
    found = re.findall(r"(-?\d[\d.]*)(?:\\times 10\^\{(-?\d+)\}|(\\,\\%))?", latex)
    return [float(value) * 10 ** int(power or 0) * (0.01 if percent_ else 1) for value, power, percent_ in found]


@pytest.mark.parametrize("room", ["figures", "report"])
def test_no_bound_stands_in_code(room: str) -> None:
    """What decides is made in the room `claims` alone, and what is printed is compared with no number."""
    deciders = {"Check", "Criterion", "Outcome", "Verdict", "Claim", "Claims"}
    for path in sorted((ROOT / "src/cpt_dynamics" / room).rglob("*.py")):
        tree = ast.parse(path.read_text())
        called = {ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not called & deciders, path
        given = [key for node in ast.walk(tree) if isinstance(node, ast.Call) for key in node.keywords]
        assert [key.arg for key in given if key.arg in ("above", "below") and isinstance(key.value, ast.Constant)] == []
        if room == "report" or path.name in ("result.py", "text.py"):
            assert [value for value in compared(tree) if isinstance(value, float) and abs(value) < FORMATTED] == [], (
                path
            )


def compared(tree: ast.AST) -> Iterator[object]:
    """The constants that something is compared with."""
    for node in ast.walk(tree):
        for side in (node.left, *node.comparators) if isinstance(node, ast.Compare) else ():
            yield from (inner.value for inner in ast.walk(side) if isinstance(inner, ast.Constant))


def test_printed_coefficients_have_a_section_of_their_own(material: Material) -> None:
    written = document.figures(material, "none")
    assert r"\subsection{Figure P5: Loss potential, as printed}" in written
    assert "2.52 to 2.66" in written
    assert "P5" not in document.figures(material, "runs")
    # they say nothing about the runs of this scale
    assert {one.name: one.latex for one in macros.macros(material)}["Checks"] == "33"


def test_public_curves_are_in_the_report_where_they_are(material: Material) -> None:
    assert "public_curves" not in material.figures
    assert "table_public" not in tables.available(material.experiments)
    assert r"\HasFigPublicCurvesfalse" in macros.as_latex([], material.figures)
    write_json(Path(material.config.public_curves) / "source.json", {})
    fresh = Material(material.config)
    assert "public_curves" in fresh.figures
    assert "table_public" in tables.available(fresh.experiments)


def test_the_claims_about_public_curves_follow_from_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    published = curves_of_others.published()
    offs = dict.fromkeys(published.sizes, 0.0) | {"100M": 2e-5}  # of our error from the printed one
    waiting = list(offs)

    def compare(given: Mapping[str, Any], *rest: object) -> dict[str, Any]:
        size = waiting.pop(0)
        error = published.sizes[size].metrics["mean_relative_error"]
        errors = {"r2": 0.99, "mae": 4e-3, "rmse": 5e-3, "worst_relative_error": 4e-3}
        errors |= {"n": 100, "mean_relative_error": error + offs[size]}
        without = errors | {"mean_relative_error": 4 * error}
        return {
            "fitted_runs": [],
            "test_runs": [],
            "phase": None,
            "rows": {},
            "laws": {name: law(without if name == "annealing_s1_only" else errors) for name in given},
        }

    def law(errors: dict[str, float]) -> dict[str, Any]:
        mean = {key: value for key, value in errors.items() if key != "n"}
        known = {"law": "law", "source": "here", "fitted": True, "parameters": {}, "objective": 1e-4, "seconds": 0.0}
        return known | {"train": errors, "runs": {}, "mean": {"all": mean, "unseen": mean}}

    sweep = {0.999: SimpleNamespace(objective=1e-4, parameters={"A": 1.0})}
    monkeypatch.setattr(public_curves, "compare", compare)
    monkeypatch.setattr(public_curves, "sweep_lambda", lambda *given: sweep)
    nothing = pd.DataFrame({"run": [], "model": [], "loss": []})
    monkeypatch.setattr(curves_of_others, "of_size", lambda table, size: table)
    found = public_curves.compared(nothing, nothing)
    outcomes = of_figure(claims.evaluate(claims.load(), {"public_curves": found}), "public_curves")
    assert {one.name: one.holds for one in outcomes} == {
        **{f"printed.{size}": size != "100M" for size in offs},
        **{f"annealing.{size}": True for size in offs},
    }
    assert {one.says for one in outcomes if one.name.startswith("annealing.25M")} == {
        "25M: mean relative error of the annealing law on unseen rows over that without S2"
    }
    rows = public.rows(found)
    assert len(rows) == len(offs) * (len(LABELS) + 1)
    assert [row[1].text.endswith("*") for row in rows].count(True) == len(offs)


# --- tables -----------------------------------------------------------------------------------------------


def test_every_table_is_written_as_csv_and_latex(material: Material) -> None:
    for table in tables.available(material.experiments):
        comma, tex = tables.write(table, material)
        rows = list(csv.reader(comma.open()))
        assert len({len(row) for row in rows}) == 1
        assert tex.read_text().count(r" \\") >= len(rows)
        assert rf"\label{{tab:{table}}}" in tex.read_text()


def test_table_1_states_the_configuration(material: Material) -> None:
    rows = {row[0]: row[2] for row in csv.reader(tables.write("table1", material)[0].open())}
    assert rows["Peak LR of PT"] == "1e-3"
    assert rows["PT steps"].startswith("1,200 ")
    assert rows["Batch, tokens"] == "256"


def test_table_1_needs_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    made = tables.TABLES["table1"].make(Material(config.load([])))
    assert len(made.rows) == 15


def test_parameters_are_counted_as_the_model_counts_them() -> None:
    pytest.importorskip("torch")
    from cpt_dynamics.config import Batch, Model
    from cpt_dynamics.training.model import build, non_embedding_parameters

    for spec in (
        Model(layers=2, width=64, heads=4, feedforward=176),
        Model(layers=1, width=32, heads=2, feedforward=80),
    ):
        model = build(spec, 300, Batch(sequences=1, length=8, rope_base=1e4), 0)
        assert estimates.non_embedding_parameters(spec) == non_embedding_parameters(model)


def test_coefficients_are_those_of_the_fit_and_of_the_paper(material: Material) -> None:
    rows = list(csv.DictReader(tables.write("table_coefficients", material)[0].open()))
    assert [row["L0"] for row in rows if row["source"] == "paper"] == ["3.057", "3.024"]
    for role, row in zip(("general", "strong"), [r for r in rows if r["source"] == "here"], strict=True):
        result = material.result(Fig03)
        assert result is not None
        fitted = result.fits[Role(role)].chosen.parameters
        assert float(row["L0"]) == pytest.approx(fitted["L0"], abs=1e-3)
        assert float(row["B"]) == pytest.approx(fitted["B"], rel=1e-3)


def test_a_table_that_the_figures_do_not_allow_is_refused(material: Material) -> None:
    with pytest.raises(UserError, match="there is no table 'table9'"):
        tables.write("table9", material)


def test_another_text_than_the_recorded_one_is_said(material: Material) -> None:
    assert r"small\_code is \textbf{not} the recorded one" in macros.recorded(material)
    rows = {row[0]: row[-1] for row in csv.reader(tables.write("table_corpora", material)[0].open())}
    assert (rows["small_handbook"], rows["small_code"]) == ("yes", "NO")


# --- summary ----------------------------------------------------------------------------------------------


def test_the_summary_keeps_its_contract(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Material, "fitting_seconds", lambda self: 50.0)
    for table in tables.available(material.experiments):
        tables.write(table, material)
    assert cli.main(["summary"]) == 0
    found = read_json(material.layout.summary)
    assert found["scale"] == "made_up"
    assert found["wall_seconds"] == 245
    assert found["cpu_seconds_training"] == 100 * found["branches"]
    assert found["cpu_seconds_fitting"] == pytest.approx(50.0)
    assert found["cpu_seconds"] == pytest.approx(100 * found["branches"] + 50.0)
    assert found["branches"] == len(material.plan.branches)
    assert found["steps_trained"] == material.plan.steps_trained < found["steps_unshared"]
    fit = found["fits"]["fig03"]["small_handbook"]
    assert {"law", "lambda", "r2", "r2_cpt", "huber", "mean_relative_error", "skill"} <= fit.keys()
    assert (fit["law"], fit["lambda"]) == ("cpt", 0.97)
    predicted = found["heldout"]["fig10"]["small_code"]
    assert predicted["ratio"] == pytest.approx(
        predicted["mean_relative_error"] / predicted["s1_only_mean_relative_error"]
    )
    assert set(predicted["runs"]) == {"cpt_linear"}
    assert set(found["figures"]) == set(EXPERIMENTS["figures"]) - {"public_curves"}  # absent here
    assert Path(found["tables"]["table1"]["path"]).exists()
    assert [c["matches"] for c in found["corpora"]] == [True, False, True]
    json.dumps(found, allow_nan=False)


def spent(material: Material, figure: str, seconds: float) -> set[str]:
    """Have every fit of a result have taken so long; returns the different ones."""
    path = material.layout.fit(figure)
    fits: set[str] = set()

    def visit(value: Any) -> None:
        if isinstance(value, dict) and "cpu_seconds" in value:
            value["cpu_seconds"] = seconds
            fits.add(json.dumps(value, sort_keys=True))
        elif isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                visit(inner)

    visit(found := read_json(path))
    write_json(path, found)
    return fits


def test_fits_that_figures_share_are_counted_once(material: Material) -> None:
    """fig10 repeats the fits of fig03."""
    fits = {figure: spent(material, figure, 2.0) for figure in material.figures}
    assert fits["fig03"] & fits["fig10"]
    different = set().union(*fits.values())
    assert Material(material.config).fitting_seconds() == pytest.approx(2.0 * len(different))


def test_a_misspelt_key_of_the_fits_is_no_time_of_zero(material: Material) -> None:
    path = material.layout.fit("fig03")
    path.write_text(path.read_text().replace('"cpu_seconds"', '"cpu_secnods"', 1))
    with pytest.raises(UserError, match=rf"{path}: fits\.general\.\w+\.fit: .*cpu_seconds.*snakemake fig03") as error:
        Material(material.config).fitting_seconds()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("missing", ["fits/fig10.json", "figures/fig01.pdf", "tables/table1.csv"])
def test_a_missing_input_is_named(material: Material, missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    for table in tables.available(material.experiments):
        tables.write(table, material)
    (material.layout.root / missing).unlink()
    assert cli.main(["summary"]) == 2
    assert missing in capsys.readouterr().err
    assert not material.layout.summary.exists()


READ_RESULTS, READ_MANIFESTS, READ_SOURCES = (
    ("plot fig03", "findings", "summary"),
    ("summary",),
    ("report --table table_corpora",),
)
DAMAGED: dict[str, tuple[str, tuple[str, ...], Any, str]] = {  # file, commands, value of a key or text, what is said
    "no parameters": ("fits/fig03", READ_RESULTS, {"fits.general.chosen.fit.parameters": {}}, "is missing"),
    "a fit of text": ("fits/fig03", READ_RESULTS, {"fits.general.chosen.fit": "x"}, "chosen.fit: this is not a fit"),
    "a lambda": ("fits/fig03", READ_RESULTS, {"fits.general.chosen.fit.settings.lambda": 2}, "settings.lambda"),
    "a null": ("fits/fig03", READ_RESULTS, "null", "is no result of fig03"),
    "a foreign figure": ("fits/fig03", READ_RESULTS, {"figure": "fig04"}, "is no result of fig03"),
    "a cut file": ("fits/fig03", READ_RESULTS, '{"figure": "fi', "is not valid JSON"),
    "a deep file": ("fits/fig03", READ_RESULTS, "[" * 900 + "]" * 900, "nested more than 100 deep"),
    "no time": ("branches/*", READ_MANIFESTS, {"finished": "yesterday"}, "finished: Invalid isoformat string"),
    "the year 1": ("branches/*", READ_MANIFESTS, {"finished": "0001-01-01T00:00:00+09:00"}, "finished: "),
    "a manifest of null": ("branches/*", READ_MANIFESTS, "null", "Input should be a valid dictionary"),
    "400 digits": ("split", READ_SOURCES, {"bytes": 10**400}, "split.bytes: Input should be less"),
    "half a licence": ("source", READ_SOURCES, {"licence": "\ud800"}, "surrogates not allowed"),
    "a source that is a list": ("source", READ_SOURCES, "[]", "source: Input should be"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_results_and_manifests_are_one_line(
    material: Material, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, commands, value, line = DAMAGED[case]
    path = min(Path().glob(f"**/{name}.json"))
    if isinstance(value, dict):
        ((keys, one),) = value.items()
        whole = inner = read_json(path)
        *outer, last = keys.split(".")
        for key in outer:
            inner = inner[key]
        inner[last] = one
        value = json.dumps(whole)
    path.write_text(value, encoding="utf-8")
    for command in commands:
        assert cli.main(command.split()) == 2, command
        said = capsys.readouterr().err
        assert line in said, command
        assert said.count("\n") == 1
        assert path.name in said or path.parent.name in said


def test_a_manifest_without_times_is_named(material: Material) -> None:
    path = next(iter(sorted((material.layout.root / "branches").glob("*.json"))))
    manifest = read_json(path)
    del manifest["finished"]
    write_json(path, manifest)
    with pytest.raises(UserError, match=rf"{path.name}: key 'finished' is missing"):
        summary(material)


# --- sources and PDF --------------------------------------------------------------------------------------


def write_sources(material: Material) -> Path:
    for table in tables.available(material.experiments):
        tables.write(table, material)
    return document.write(material)


def test_the_sources_are_the_declared_ones(material: Material) -> None:
    folder = write_sources(material)
    declared = document.sources(material.config, material.experiments)
    assert sorted(p for p in folder.rglob("*") if p.is_file()) == sorted(declared)


def test_the_text_uses_only_macros_that_there_are(material: Material) -> None:
    defined = set(re.findall(r"\\newcommand{\\(\w+)}", macros.as_latex(macros.macros(material), material.figures)))
    preamble = (ROOT / "paper/preamble.sty").read_text()
    assert not defined & set(re.findall(r"\\newcommand{\\(\w+)}", preamble))
    text = "".join(path.read_text() for path in (ROOT / "paper").glob("*.tex"))
    used = set(re.findall(r"\\([A-Z]\w+)", text)) - {"Delta", "Dpt", "Dcpt"}
    assert used - defined == set()


def test_no_number_of_a_result_is_written_by_hand() -> None:
    for name in ("abstract", "agreement", "results", "settings", "corpora", "printed", "limits", "software"):
        text = (ROOT / f"paper/{name}.tex").read_text()
        assert not re.search(r"\d\.\d", text), name


def test_a_scale_with_fewer_figures_has_a_report_too(material: Material) -> None:
    without_needs = {key: value for key, value in EXPERIMENTS["figures"]["lambda"].items() if key != "needs"}
    fewer = {**EXPERIMENTS, "figures": {"lambda": without_needs}}
    Path("config/experiments.yaml").write_text(yaml.safe_dump(fewer, sort_keys=False), encoding="utf-8")
    fresh = Material(material.config)
    folder = write_sources(fresh)
    assert tables.available(fresh.experiments) == ["table1", "table_corpora", "table_checks"]
    assert r"\HasFigThreefalse" in (folder / "generated/macros.tex").read_text()
    assert "Figure S1" in (folder / "generated/results.tex").read_text()
    if document.tex():
        assert document.compile(folder, fresh.finished).exists()


needs_tex = pytest.mark.skipif(document.tex() is None, reason=document.NO_TEX)


@needs_tex
@pytest.mark.slow
def test_the_same_results_give_the_same_pdf(material: Material) -> None:
    assert cli.main(["report"]) == 0
    pdf = material.layout.report / "report.pdf"
    first = pdf.read_bytes()
    log = (material.layout.report / "build/report.log").read_text(errors="replace")
    assert not re.search(r"LaTeX Warning: (Reference|Citation|There were undefined)|Overfull", log)
    shutil.rmtree(material.layout.report)
    assert cli.main(["report"]) == 0
    assert pdf.read_bytes() == first


@needs_tex
def test_a_mistake_in_the_sources_is_said_in_one_line(material: Material, capsys: pytest.CaptureFixture[str]) -> None:
    with Path("paper/limits.tex").open("a", encoding="utf-8") as out:
        out.write("\\nosuchcommand\n")
    assert cli.main(["report"]) == 2
    message = capsys.readouterr().err
    assert "limits.tex" in message
    assert "Undefined control sequence" in message
    assert message.count("\n") == 1
    assert not (material.layout.report / "report.pdf").exists()


def test_without_tex_it_is_said_what_to_install(
    material: Material, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    write_sources(material)
    assert cli.main(["report", "--pdf"]) == 2
    assert "install tectonic" in capsys.readouterr().err
