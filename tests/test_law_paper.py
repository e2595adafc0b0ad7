"""The paper on the noise law: its numbers are those of the results, its sources are complete, and its rules plan."""

import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from worlds import REPOSITORY
from worlds.benchmark import FIT, TEST, made, split
from worlds.commands import refused
from worlds.schedules import EXCESS
from worlds.workflow import copy_parts, jobs, snakemake

from cpt_dynamics import laws
from cpt_dynamics.cli import main
from cpt_dynamics.curves import public
from cpt_dynamics.leaderboard import board, fits, sets, splits, uses
from cpt_dynamics.leaderboard.fits import End, Fits, SplitFit
from cpt_dynamics.leaderboard.results import Results
from cpt_dynamics.leaderboard.scores import Rows, Score
from cpt_dynamics.report import document
from cpt_dynamics.report.law_paper import draw, macros, sources
from cpt_dynamics.report.law_paper.document import write

FROZEN = splits.load(REPOSITORY / splits.SPLITS)
TEXT = (REPOSITORY / "paper/law/law.tex").read_text()
MORE = ("mean of candidates", "cpt_one_c")


def score(split: str, run: str, entry: str, error: float) -> Score:
    one = FROZEN.each()[split]
    own = entry in laws.LAWS
    size = len(laws.get(entry).parameters) if own else None
    inside = error < 0.01 if one.set == "lr_scheduling" and own else None
    signed = error * (1 if len(run) % 2 else -1)
    rows, named = None if inside is None else float(inside), (one.set, split, one.kind, entry, run)
    return Score(*named, 50, error, 3 * error, signed, inside, inside, rows, size, None, 1.0, "")


def whole(*names: str) -> Results:
    """Results of the tests of some sets (of all, without names), each entry of a test with errors of its own."""
    scores = []
    for name, one in FROZEN.each().items():
        if names and one.set not in names:
            continue
        entries = dict.fromkeys([*uses.USES[uses.name_of(name)].entries.values(), *MORE])
        for place, entry in enumerate(e for e in entries if e in laws.LAWS or " " in e or e == "auto"):
            scores += [score(name, run, entry, 0.002 + 0.001 * place + 1e-4 * i) for i, run in enumerate(one.test[:3])]
    raw = board.to_json(scores, board.board(scores), FROZEN.version, dict.fromkeys(names, "0" * 64), 300.0, {})
    raw.pop("left_out")
    return Results(**{**raw, "board": [], "scores": scores})


def fits_of(found: Results) -> Fits:
    """A fit of every split, whose loss at the end of a run is predicted a little too high."""
    made = []
    for name, one in FROZEN.each().items():
        if one.set in found.sets:
            law = uses.USES[uses.name_of(name)].law
            parameters = {p.name: 0.5 for p in laws.get(law).parameters} | {"K": 3.0, "c": 300.0}
            runs = [*one.fit, *one.test]
            ends = [End(run, run in one.fit, 3 + 0.01 * i, 3.001 + 0.01 * i) for i, run in enumerate(runs)]
            made.append(SplitFit(uses.name_of(name), name, law, parameters, 80.0, 1e-2, 5000, ends))
    return Fits("cpt-dynamics/law-fits/1", FROZEN.version, made)


WHOLE = whole()
OWN = whole("cpu")


def values(found: Results, known: Fits | None = None) -> dict[str, str]:
    return {one.name: one.latex for one in macros.macros(found, known or fits_of(found))}


def test_the_text_uses_only_macros_that_there_are() -> None:
    defined = set(values(WHOLE))
    preamble = (REPOSITORY / "paper/preamble.sty").read_text()
    assert not defined & set(re.findall(r"\\newcommand{\\(\w+)}", preamble))
    used = set(re.findall(r"\\([A-Z]\w+)", TEXT)) - {"Dpt", "Dcpt", "Gamma"}
    assert used - defined == set()
    asked = set(re.findall(r"\\ifHas(\w+)", TEXT))
    assert asked <= set(macros.switches(WHOLE, fits_of(WHOLE)))


def test_what_a_copy_without_the_public_sets_does_not_define_stands_behind_a_switch() -> None:
    there = macros.switches(OWN, fits_of(OWN))
    shown = TEXT
    for name, on in there.items():  # the innermost first: no switch of this text is inside one of its own name
        pattern = rf"\\ifHas{name}\b((?:(?!\\ifHas).)*?)(?:\\else((?:(?!\\ifHas).)*?))?\\fi"
        for _ in range(3):
            shown = re.sub(pattern, lambda m: (m[1] if on else m[2]) or "", shown, flags=re.DOTALL)  # noqa: B023
    used = set(re.findall(r"\\([A-Z]\w+)", shown)) - {"Dpt", "Dcpt", "Gamma"}
    assert used - set(values(OWN)) == set()


def test_no_number_is_written_by_hand() -> None:
    """What is left without formulas, names of equations, keys and commands has no digit."""
    body = TEXT[TEXT.index(r"\begin{document}") :]
    body = re.sub(r"\\begin{equation}.*?\\end{equation}", "", body, flags=re.DOTALL)
    formulas = re.findall(r"\$([^$]*)\$", body)
    assert not [one for one in formulas if re.search(r"\d[.,]\d|\d\d|\d\s*\\?%", one)]
    body = re.sub(r"\$[^$]*\$", "", body)
    body = re.sub(r"Eq\.~\d|\bC[12]\b|\bS1\b|\b124M\b", "", body)
    body = re.sub(
        r"\\(cite[tp]|ref|label|includegraphics|setlength|renewcommand|input)\*?(\[[^]]*\])?({[^}]*})+", "", body
    )
    assert re.findall(r".*\d.*", body) == []


def test_a_changed_result_changes_the_text() -> None:
    before = values(WHOLE)
    at = next(i for i, one in enumerate(WHOLE.scores) if (one.split, one.entry) == ("cpu_general", "cpt_noise"))
    worse = replace(WHOLE.scores[at], mean=0.5, worst=0.75, end=0.4)
    after = values(replace(WHOLE, scores=[*WHOLE.scores[:at], worse, *WHOLE.scores[at + 1 :]]))
    changed = {name for name in before if before[name] != after[name]}
    errors = {f"GeneralNoise{one}" for one in macros.ERRORS}
    assert errors | {"GeneralRank", "GeneralSide", "AgainstEq", "EndAgainstEq", "WorstRow", "WorstRowRun"} <= changed
    assert after["WorstRow"] == r"75.00\,\%"
    assert before["AgainstEq"] == "smaller than that of Eq.~1 or~4 on 16 of 16 tests"
    assert "15 of 16 tests; not smaller on own curves" in after["AgainstEq"]
    assert not {name for name in changed if name.startswith(("Above", "MultiPowerSet", "Strong"))}


def test_a_changed_fit_changes_the_text() -> None:
    known = fits_of(WHOLE)
    before = values(WHOLE, known)
    assert before["GeneralFitNoise"] == "0.30"  # 3 times the root of 1e-2
    assert before["GeneralFitHalfWay"] == "1.0"  # 3 over 300 times 1e-2
    assert (before["BestRight"], before["BestFitted"], before["BestGroups"]) == ("14", "14", "14")
    place = next(i for i, one in enumerate(known.fits) if one.name == "delphi_inside")
    lower = [replace(one, measured=one.measured - (0 if one.fitted else 0.1)) for one in known.fits[place].ends]
    louder = replace(known.fits[place], parameters={**known.fits[place].parameters, "K": 6.0}, ends=lower)
    after = values(WHOLE, replace(known, fits=[*known.fits[:place], louder, *known.fits[place + 1 :]]))
    assert after["InsideFitNoise"] == "0.30 to 0.60"
    assert (after["BestRight"], after["BestFitted"]) == ("13", "13")
    assert after["BestRegret"] != before["BestRegret"] == r"0.00\,\%"


@pytest.mark.parametrize(("value", "text"), [(-0.001, r"$-$0.10\,\%"), (-1e-9, r"0.00\,\%"), (None, "--")])
def test_signed_shares(value: float | None, text: str) -> None:
    assert macros.percent(value).latex == text


def test_every_split_of_the_kit_is_a_test_and_every_form_a_law() -> None:
    assert {uses.name_of(name) for name in FROZEN.each()} == set(uses.USES)
    for use in uses.USES.values():
        assert all(entry in laws.LAWS or " " in entry or entry == "auto" for entry in use.entries.values())


def test_the_fit_of_a_split_finds_the_law_and_the_ends() -> None:
    one = split(FIT, TEST)
    found = fits.fitted("multi_power/25M", Rows(one, *sets.of_split(made(), one)))
    assert found.parameters["alpha"] == pytest.approx(EXCESS["alpha"], rel=0.1)
    assert (found.lr, found.steps) == (1e-2, 1200)
    assert {end.run: end.fitted for end in found.ends} == {**dict.fromkeys(FIT, True), **dict.fromkeys(TEST, False)}
    np.testing.assert_allclose([end.predicted / end.measured for end in found.ends], 1, atol=2e-3)


def test_the_figure_draws_the_law() -> None:
    """V in plain loops, at the end of WSD."""
    fit = fits_of(OWN).fits[0]
    lr = draw.schedules(fit.steps)["WSD"]
    at = np.array([1, 2000, fit.steps])
    rate = fit.parameters["c"] * fit.lr
    plain = lr[0] - sum(
        (lr[k - 1] - lr[k]) * (1 - (1 + rate * lr[k:].sum()) ** -0.5) for k in range(1, fit.steps) if lr[k] != lr[k - 1]
    )
    np.testing.assert_allclose(draw.spread(fit, lr, at), [1, 1, plain], rtol=1e-9)


# --- files and commands ---------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REPOSITORY / "paper", tmp_path / "paper")
    shutil.copytree(REPOSITORY / "data/benchmark", tmp_path / "data/benchmark")
    return tmp_path


def stored(found: Results, path: Path, **more: Any) -> Path:
    path.write_text(json.dumps({**asdict(found), **more}), encoding="utf-8")
    return path


@pytest.mark.parametrize("found", [WHOLE, OWN], ids=["all sets", "own curves alone"])
def test_the_sources_are_the_declared_ones(folder: Path, found: Results) -> None:
    out = write(found, fits_of(found), Path("out"))
    declared = {*sources.sources(out), out / "figures/law.csv", out / "figures/law.png"}
    assert {path for path in out.rglob("*") if path.is_file()} == declared
    assert (out / "generated/macros.tex").read_text(encoding="utf-8").count(r"\newcommand") == len(values(found))
    assert ("without the Multi-Power set, the 124M set and Delphi" in values(found)["MissingRule"]) == (found is OWN)


def test_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    stored(OWN, folder / "results.json")
    monkeypatch.setattr(fits, "fits", lambda stated, names: fits_of(OWN).fits if names == ["cpu"] else [])
    own = ["law-paper", "--benchmark", "results.json", "--out", "out"]
    assert main([*own, "--fits"]) == 0
    assert main([*own, "--sources"]) == 0
    assert fits.read(Path("out/fits.json")) == fits_of(OWN)
    assert r"\newcommand{\Tests}{2}" in Path("out/generated/macros.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"splits": 99}, "splits of version 99"),
        ({"scores": []}, "has no scores"),
        ({"scores": [{"set": "cpu"}]}, "scores"),
        ({"schema": "another"}, "schema"),
    ],
)
def test_results_that_do_not_do_are_one_line(folder: Path, capsys: Any, more: dict[str, Any], words: str) -> None:
    stored(OWN, folder / "results.json", **more)
    assert words in refused(["law-paper", "--benchmark", "results.json", "--out", "out"], capsys)
    assert not (folder / "out").exists()


def test_results_that_are_not_there_are_one_line(folder: Path, capsys: Any) -> None:
    assert "cpt-dynamics benchmark --out" in refused(["law-paper"], capsys)


@pytest.mark.parametrize(
    ("parameters", "words"), [({"K": 1.0}, "no c"), ({"K": 1.0, "c": 0.0}, "a c, an LR, steps or a loss of zero")]
)
def test_fits_that_do_not_do_are_one_line(folder: Path, capsys: Any, parameters: dict[str, float], words: str) -> None:
    stored(OWN, folder / "results.json")
    fits.write(Path("out/fits.json"), [replace(fits_of(OWN).fits[0], parameters=parameters)], 1)
    assert words in refused(["law-paper", "--benchmark", "results.json", "--out", "out", "--sources"], capsys)


@pytest.mark.slow
@pytest.mark.skipif(document.tex() is None, reason=document.NO_TEX)
@pytest.mark.parametrize("found", [WHOLE, OWN], ids=["all sets", "own curves alone"])
def test_the_same_results_give_the_same_pdf(folder: Path, found: Results) -> None:
    made = []
    for name in ("one", "two"):
        write(found, fits_of(found), Path(name))
        made.append(document.compile(Path(name), "1970-01-01T00:00:00+00:00", "law").read_bytes())
        log = Path(name, "build/law.log").read_text(encoding="utf-8", errors="replace")
        assert not re.search(r"LaTeX Warning: (Reference|Citation|There were undefined)|Overfull", log)
    assert made[0] == made[1]


def test_the_rules_plan_from_what_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(public.VARIABLE, str(tmp_path / "elsewhere"))
    copy_parts(tmp_path)
    shutil.copytree(REPOSITORY / "data/benchmark", tmp_path / "data/benchmark")
    shutil.copytree(REPOSITORY / "data/released/cpu", tmp_path / "data/released/cpu")
    done = snakemake(tmp_path, "-n", "law_paper")
    planned = jobs(done)
    assert planned.items() >= {"benchmark": 1, "law_fits": 1, "law_sources": 1, "law_paper": 1}.items()
    assert not {"train", "fetch_public_set"} & planned.keys()
    assert done.stderr.count("the benchmark is without multi_power, lr_scheduling, delphi") == 1
    assert "testing every law on cpu" in done.stdout + done.stderr
    (tmp_path / "elsewhere/delphi").mkdir(parents=True)
    done = snakemake(tmp_path, "-n", "law_paper")
    assert "testing every law on delphi cpu" in done.stdout + done.stderr


def test_the_citation_names_the_paper() -> None:
    (paper,) = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["references"]
    (title,) = re.findall(r"\\title{([^}]*)}", TEXT)
    assert paper["title"] == title.replace(r"\\", " ")
    assert {"type", "title", "authors"} <= paper.keys()
