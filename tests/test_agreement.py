"""Scales side by side: what a release says of its fits, what is compared, and the section of the report."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from worlds import REPOSITORY
from worlds.commands import refused, small_file_system
from worlds.released import release, sealed
from worlds.workflow import snakemake

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments, report
from cpt_dynamics.claims import Word
from cpt_dynamics.cli import main
from cpt_dynamics.config import Role
from cpt_dynamics.curves.released import CONTENTS, RESULTS, seal
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import read_json, write_json
from cpt_dynamics.report import macros, tables
from cpt_dynamics.report.agreement import ScaleResults, agreement
from cpt_dynamics.report.agreement import results as scale_results
from cpt_dynamics.report.agreement.results import ComparedFit, StoredCriterion, StoredVerdict
from cpt_dynamics.report.material import Material

CPU = REPOSITORY / "data/released/cpu"
FIGURES = ["fig01", "fig03", "fig10"]
SETTING = scale_results.Setting(
    parameters=None,
    peak_lr=0.001,
    batch_tokens=64,
    pretraining=24,
    continual=12,
    lambda_=0.99,
    vocabulary=None,
    general="prose",
    strong="lists",
)
MINE = {"scale": "mine", "curves": "released", "experiments": ["mine.yaml"]}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A scale `mine` of a few figures, from the released curves of the default scale, with its fits and figures."""
    folder = tmp_path_factory.mktemp("built")
    for part in ("config", "paper", "data/published", "workflow", "profiles", "Snakefile", "environment.yml"):
        source, target = REPOSITORY / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    shutil.copytree(CPU, folder / "data/released/mine", ignore=shutil.ignore_patterns(RESULTS))
    page = folder / "data/released/mine/README.md"
    page.write_text("".join(line for line in page.read_text().splitlines(True) if RESULTS not in line))
    sealed_again(folder / "data/released/mine")
    stated = yaml.safe_load((folder / "config/experiments.yaml").read_text())
    few = {**stated, "figures": {figure: stated["figures"][figure] for figure in FIGURES}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(few, sort_keys=False))
    path = folder / "config/config.yaml"
    path.write_text(yaml.safe_dump(configuration.merge(yaml.safe_load(path.read_text()), MINE), sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("OMP_NUM_THREADS", "1")
        assert main(["curves", *FIGURES]) == 0
        for command in ("analyse", "plot"):
            assert all(main([command, figure]) == 0 for figure in FIGURES)
        assert main(["findings", "--write"]) == 0
        yield folder


@pytest.fixture
def here(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the working folder."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def with_cpu(here: Path) -> Path:
    """The same beside the released curves of the default scale."""
    shutil.copytree(CPU, here / "data/released/cpu")
    return here


def sealed_again(folder: Path) -> None:
    """State the files anew, and keep what else the release says."""
    about = read_json(folder / CONTENTS)
    sealed(folder)
    contents = {**about, "files": read_json(folder / CONTENTS)["files"]}
    write_json(folder / CONTENTS, {**contents, "sha256": seal(contents)})


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# --- what a release says of its fits ------------------------------------------------------------------------------


def test_results_of_the_default_scale_are_what_its_curves_give(built: Path) -> None:
    released = scale_results.read(CPU)
    assert released.scale == "cpu"
    found = read_json(built / "results/mine/fits/fig03.json")["fits"]
    heldout = read_json(built / "results/mine/fits/fig10.json")["predictions"]
    for role, fit in released.fits["eq4"].items():
        chosen = found[role]["chosen"]
        assert fit.r2_cpt == pytest.approx(chosen["r2_continual"], abs=1e-6)
        for name in ("L0", "A", "alpha", "C1", "C2"):
            assert fit.parameters[name] == pytest.approx(chosen["parameters"][name], rel=1e-3)
        assert fit.combinations["B*beta"] == pytest.approx(chosen["fit"]["combinations"]["B*beta"], rel=1e-3)
        assert fit.heldout is not None
        assert fit.heldout.ratio == pytest.approx(heldout[role]["pooled"]["ratio"], rel=1e-3)
    claims = read_json(built / "results/mine/findings.json")["claims"]
    for name in ("moves_between", "unseen_schedules"):
        assert released.findings[name].verdict == claims[name]["verdict"]
    assert set(released.fits) == set(scale_results.FITS)
    assert set(released.findings) == set(claims)


def test_results_are_added_and_no_other_file_is_changed(here: Path, capsys: Any) -> None:
    folder = here / "data/released/mine"
    before = content(folder)
    assert main(["release", "--results"]) == 0
    after = content(folder)
    assert after.keys() - before.keys() == {RESULTS}
    assert {name for name in before if before[name] != after[name]} == {"README.md", "croissant.json", CONTENTS}
    changed = set(after["README.md"].decode().splitlines()) ^ set(before["README.md"].decode().splitlines())
    assert [line.split("|")[1].strip() for line in changed if "results.json" in line] == [f"`{RESULTS}`"]
    found = scale_results.read(folder)
    assert set(found.fits) == {"eq4"}
    assert found.fits["eq4"][Role.GENERAL].intervals == {}  # no seeds here
    assert main(["release", "--results"]) == 0
    assert content(folder) == after
    assert main(["curves", "fig01"]) == 0  # and it is read as before
    capsys.readouterr()


def test_fits_of_other_curves_or_settings_are_not_released(here: Path, capsys: Any) -> None:
    before = content(here / "data/released/mine")
    (here / "other.yaml").write_text("law: {lambda: 0.98}\n")
    line = refused(["release", "--results", "--configfile", "other.yaml"], capsys)
    assert "results/mine/fits/fig01.json was made from other curves or settings" in line
    fit = here / "results/mine/fits/fig10.json"
    write_json(fit, {**read_json(fit), "made_from": None})  # as of an earlier kit
    assert "fits/fig10.json was made from other curves" in refused(["release", "--results"], capsys)
    fit.unlink()
    assert "fits/fig10.json does not exist" in refused(["release", "--results"], capsys)
    assert content(here / "data/released/mine") == before


def test_curves_are_released_without_results_where_there_are_none(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("cpt_dynamics.cli.release._write_curves", lambda *_: None)  # they are there
    (here / "results/mine/fits/fig10.json").unlink()
    before = content(here / "data/released/mine")
    capsys.readouterr()
    assert main(["release"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("released without results.json: results/mine/fits/fig10.json does not exist")
    assert said.count("\n") == 1
    assert content(here / "data/released/mine") == before


def test_a_killed_command_leaves_the_release_as_it_was(here: Path) -> None:
    before = content(here / "data/released/mine")
    code = (
        "import os, signal\nfrom cpt_dynamics.cli import main\nfrom cpt_dynamics.curves import releasing\n"
        "releasing._readme = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)\n"
        "main(['release', '--results'])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=here, check=False).returncode == -signal.SIGKILL
    assert content(here / "data/released/mine") == before
    assert main(["release", "--results"]) == 0


def test_a_full_disk_is_one_line_and_leaves_the_release_as_it_was(here: Path, capsys: Any) -> None:
    with small_file_system(here / "small", "3m") as small:
        shutil.copytree(here / "data/released/mine", small / "mine")
        before = content(small / "mine")
        assert "no space left" in refused(["release", "--results", "--out", str(small / "mine")], capsys)
        assert content(small / "mine") == before
        assert [path.name for path in small.iterdir()] == ["mine"]


def test_damaged_results_are_named_in_one_line(with_cpu: Path, capsys: Any) -> None:
    folder = with_cpu / "data/released/cpu"
    path, whole = folder / RESULTS, content(folder)
    raw = whole[RESULTS]
    for damaged in (b"", raw[:-1], raw[: len(raw) // 2], raw.replace(b"supported", b"supportad", 1)):
        path.write_bytes(damaged)
        assert f"{RESULTS} is not as it was released" in refused(["agreement"], capsys)
    stated = json.loads(raw)
    for change, said in (
        ({"curves": "0" * 64}, "belongs to other curves than those beside it"),
        ({"schema": "cpt-dynamics/results/1"}, "schema: Input should be 'cpt-dynamics/results/2'"),
    ):
        write_json(path, {**stated, **change})
        sealed_again(folder)
        line = refused(["agreement"], capsys)
        assert f"cpu/{RESULTS}" in line
        assert said in line
    path.write_text("[]")
    sealed_again(folder)
    assert f"cpu/{RESULTS}" in refused(["agreement"], capsys)
    for name, content_ in whole.items():
        (folder / name).write_bytes(content_)
    assert main(["agreement"]) == 0


# --- what is compared ---------------------------------------------------------------------------------------------


def claim(verdict: Word, finding: int | None = 1, above: float = 0.5) -> StoredVerdict:
    criteria = {"r2": StoredCriterion(path="fig03.r2", value=0.9, above=above, below=None)}
    return StoredVerdict(finding=finding, claim="A claim", verdict=verdict, criteria=criteria)


def results(findings: dict[str, StoredVerdict], **intervals: tuple[float, float]) -> ScaleResults:
    fit: dict[str, Any] = {
        "parameters": {"alpha": 0.5, "beta": 0.2},
        "combinations": {"B*beta": 0.3},
        "terms": {"A": 1.0, "B": 0.5},
        "intervals": {name: {"low": low, "high": high, "seeds": 3} for name, (low, high) in intervals.items()},
        "r2": 0.99,
        "r2_cpt": 0.98,
        "mean_relative_error_cpt": 0.01,
        "heldout": {"left_out": "schedules", "mean_relative_error": 0.02, "ratio": 0.4},
    }
    fits = {"eq4": {Role.GENERAL: ComparedFit.model_validate(fit)}}
    return ScaleResults(scale="any", kit="0.1.0", setting=SETTING, fits=fits, findings=findings)


def test_verdicts_are_counted_where_both_scales_test_the_same() -> None:
    mine = {
        "same": claim("supported"),
        "same_no": claim("contradicted"),
        "differ": claim("supported"),
        "untested_here": claim("not testable"),
        "untested_there": claim("inconclusive"),
        "other_bound": claim("supported"),
        "missing": claim("supported"),
        "open": claim("supported", finding=None),
    }
    theirs = {
        **mine,
        "differ": claim("inconclusive"),
        "untested_there": claim("not testable"),
        "other_bound": claim("supported", above=0.6),
        "open": claim("contradicted", finding=None),
    }
    del theirs["missing"]
    found = agreement("b", {"a": results(theirs), "b": results(mine), "c": results(mine)})
    assert list(found.scales) == ["b", "a", "c"]
    same = {name: one.same["a"] for name, one in found.verdicts.items()}
    assert same == {
        "same": True,
        "same_no": True,
        "differ": False,
        "untested_here": None,
        "untested_there": None,
        "other_bound": None,
        "missing": None,
        "open": False,
    }
    counted = found.counts["a"].model_dump(include={"compared", "same", "differ", "not_compared"})
    assert counted == {"compared": 3, "same": 2, "differ": 1, "not_compared": 4}
    assert found.counts["c"].differ == 0


def test_intervals_of_exponents_overlap_or_not() -> None:
    mine = results({}, alpha=(0.4, 0.6), beta=(0.1, 0.2))
    found = agreement("a", {"a": mine, "b": results({}, alpha=(0.6, 0.7), beta=(0.25, 0.3)), "c": results({})})
    exponents = found.exponents[Role.GENERAL]
    assert exponents == {"alpha": {"b": True, "c": None}, "beta": {"b": False, "c": None}}
    assert (found.counts["b"].exponents, found.counts["b"].overlapping) == (2, 1)
    assert (found.counts["c"].exponents, found.counts["c"].overlapping) == (0, 0)


def test_scales_without_results_and_the_own_one_are_no_others(with_cpu: Path, capsys: Any) -> None:
    config = configuration.load([])
    release(with_cpu / "data/released/bare", None)
    (with_cpu / "data/released/empty").mkdir()
    assert [folder.name for folder in scale_results.others(config)] == ["cpu"]
    shutil.rmtree(with_cpu / "data/released/cpu")
    line = refused(["agreement"], capsys)
    assert "no other scale with results" in line
    assert "`cpt-dynamics release`" in line
    assert main(["curves", "fig01"]) == 0  # a release without results is read as before


# --- the section of the report ------------------------------------------------------------------------------------


def test_the_report_has_a_section_that_says_how_far_scales_agree(with_cpu: Path, capsys: Any) -> None:
    capsys.readouterr()
    assert main(["agreement"]) == 0
    counted = re.search(r"mine and cpu: (\d+) of (\d+) verdicts are the same, (\d+) differ", capsys.readouterr().out)
    assert counted
    same, compared, differ = map(int, counted.groups())
    found = read_json("results/mine/agreement.json")
    assert (same, differ) == (found["counts"]["cpu"]["same"], found["counts"]["cpu"]["differ"])
    assert same + differ == compared > 1
    rows = pd.read_csv("results/mine/agreement.csv")
    r2 = rows[(rows["name"] == "r2") & (rows["law"] == "eq4") & (rows["set"] == "strong")].set_index("scale")["value"]
    assert float(r2["mine"]) == pytest.approx(float(r2["cpu"]), abs=1e-6)
    drawn = pd.read_csv("results/mine/figures/agreement.csv")
    assert set(drawn["panel"]) == {"a", "b", "c", "d"}
    assert set(drawn["scale"]) == {"mine", "cpu"}
    material = Material(configuration.load([]))
    for table in tables.available(material.experiments):
        tables.write(table, material)
    assert main(["report", "--sources"]) == 0
    folder = material.layout.report
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted(
        report.sources(material.config, material.experiments)
    )
    defined = (folder / "generated/macros.tex").read_text()
    assert r"\HasAgreementtrue" in defined
    assert rf"Of {compared} claims whose verdicts can be compared with those at scale \texttt{{cpu}}" in defined
    section = (folder / "generated/agreement.tex").read_text()
    assert section.count(r"\begin{longtable}") == section.count(r"\end{longtable}") == 4
    assert r"100\,672" in section
    assert r"Eq.~8 & $D_\mathrm{pt}$ & \texttt{cpu}" in section  # which this scale does not fit
    assert r"\input{agreement}" in (folder / "report.tex").read_text()


def test_a_missing_comparison_is_named(with_cpu: Path, capsys: Any) -> None:
    with pytest.raises(UserError, match=r"agreement\.json does not exist"):
        macros.macros(Material(configuration.load([])))


def test_without_another_scale_there_is_no_section(here: Path) -> None:
    material = Material(configuration.load([]))
    assert material.agreement is None
    assert not [one for one in macros.macros(material) if one.name.startswith("Agreement")]
    assert r"\HasAgreementfalse" in macros.as_latex([], [])
    files = report.sources(material.config, experiments.load(material.config))
    assert "agreement.pdf" not in {path.name for path in files}


def test_the_workflow_compares_where_another_scale_is_released(with_cpu: Path) -> None:
    done = snakemake(with_cpu, "-n")
    assert done.returncode == 0, done.stderr[-2000:]
    printed = done.stdout + done.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", printed, flags=re.MULTILINE))
    assert (counts["agreement"], counts["report_sources"]) == ("1", "1")
    assert "without the section on agreement" not in printed
    (with_cpu / "data/released/cpu" / RESULTS).write_text("{}")
    damaged = snakemake(with_cpu, "-n")
    assert damaged.returncode != 0
    (said,) = (line for line in damaged.stderr.splitlines() if line.startswith("error: "))
    assert f"cpu/{RESULTS} is not as it was released" in said
    shutil.rmtree(with_cpu / "data/released/cpu")
    alone = snakemake(with_cpu, "-n")
    assert alone.returncode == 0
    assert alone.stderr.count("without the section on agreement between scales: data/released holds no other") == 1
    assert not re.search(r"^agreement +\d", alone.stdout + alone.stderr, flags=re.MULTILINE)
