"""The benchmark of laws: splits, what needs no law, scores, tables and pages, and its command."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from worlds import REPOSITORY
from worlds.benchmark import FIT, TEST, made, split
from worlds.commands import refused
from worlds.schedules import tables

from cpt_dynamics import curves
from cpt_dynamics.cli import main
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.uncertainty import without_seed
from cpt_dynamics.leaderboard import board, scores, sets, splits
from cpt_dynamics.leaderboard.scores import AUTO, MEAN, NEAREST, Rows, Score
from cpt_dynamics.leaderboard.splits import Splits

FROZEN = splits.load(REPOSITORY / splits.SPLITS)


@pytest.fixture(scope="module")
def measured() -> list[Score]:
    one = split(FIT, TEST)
    return scores.scores("one", Rows(one, *sets.of_split(made(), one)), ["fsl"])


def test_every_run_of_the_kits_own_splits_is_released() -> None:
    for name, one in FROZEN.each().items():
        folder = REPOSITORY / sets.RELEASED / one.set
        if not folder.is_dir():
            continue
        rows = pd.read_parquet(folder / "curves.parquet", columns=["run"])
        assert {*one.fit, *one.test} <= set(rows["run"].map(without_seed)), name


def test_splits_of_several_are_told_apart() -> None:
    found = FROZEN.each()
    assert len(found) > len(FROZEN.splits)
    assert found["multi_power/25M"].fit == [
        "25M/constant_24000",
        "25M/cosine_24000",
        "25M/wsdcon_9",
    ]
    assert not any("{of}" in run for one in found.values() for run in (*one.fit, *one.test))
    assert all(not set(one.fit) & set(one.test) for one in found.values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test": ["a"]}, "'a' is fitted and predicted"),
        ({"of": ["x"]}, "give `of` and name runs with {of}, or neither"),
        ({"fit": ["{of}/a"]}, "give `of` and name runs with {of}, or neither"),
        ({"kind": "size"}, "kind"),
        ({"first_step": 0}, "first_step"),
        ({"runs": []}, "runs"),
    ],
)
def test_a_wrong_split_is_one_line(tmp_path: Path, capsys: Any, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "splits.yaml"
    one = {"set": "cpu", "kind": "schedule", "fit": ["a"], "test": ["b"], **change}
    path.write_text(yaml.safe_dump({"version": 1, "splits": {"mine": one}}), encoding="utf-8")
    assert words in refused(["benchmark", "--splits", str(path)], capsys)


def test_curves_that_are_not_there_are_one_line(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CPT_DYNAMICS_PUBLIC_CURVES", raising=False)
    monkeypatch.chdir(tmp_path)
    path = str(REPOSITORY / splits.SPLITS)
    line = refused(["benchmark", "--splits", path, "--set", "multi_power"], capsys)
    assert "cpt-dynamics public-curves --set multi-power" in line
    assert "no split is of none" in refused(["benchmark", "--splits", path, "--set", "none"], capsys)


def test_what_is_not_there_is_left_out(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str) -> sets.Curves:
        if name == "made":
            return made()
        raise UserError(f"no curves {name}: fetch them")

    monkeypatch.setattr(sets, "read", read)
    path = tmp_path / "splits.yaml"
    some = {
        "one": split(FIT, TEST),
        "lost": split(FIT, ["gone"]),
        "other": split(["a"], ["b"]).model_copy(update={"set": "far"}),
    }
    path.write_text(yaml.safe_dump(Splits(version=1, splits=some).model_dump(mode="json")), encoding="utf-8")
    assert main(["benchmark", "--splits", str(path), "--processes", "1", "--json"]) == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert {one["split"] for one in result["scores"]} == {"one"}
    assert result["left_out"] == {
        "far": "no curves far: fetch them",
        "lost": "1 of its runs are not there, such as gone",
        "other": "its set far is",
    }
    assert "lost is left out: 1 of its runs" in said.err
    assert "no curves far" in refused(["benchmark", "--splits", str(path), "--set", "far"], capsys)


def test_a_run_that_the_curves_lack_is_named() -> None:
    one = split(FIT, ["lost"])
    with pytest.raises(UserError, match="no run 'lost'"):
        scores.scores("one", Rows(one, *sets.of_split(made(), one)))


# --- what needs no law ---------------------------------------------------------------------------------------------


def at_peaks(*peaks: float) -> pd.DataFrame:
    """Runs whose loss is 3 plus the logarithm of their peak LR."""
    parts = []
    for peak in peaks:
        rows, plans = tables(("constant",), peak=peak)
        parts.append(curves.features(rows.assign(loss=3 + np.log(peak)), plans))
    return pd.concat(parts, ignore_index=True)


def test_the_nearest_run() -> None:
    fitted, wanted = at_peaks(1e-2, 3e-2), at_peaks(1.2e-2)
    np.testing.assert_allclose(scores.nearest(fitted, wanted), 3 + np.log(1e-2))


@pytest.mark.parametrize("peak", [2e-2, 5e-2])
def test_a_line_between_runs(peak: float) -> None:
    fitted, wanted = at_peaks(1e-2, 3e-2, 4e-2), at_peaks(peak)
    np.testing.assert_allclose(scores.between(fitted, wanted), 3 + np.log(peak), rtol=1e-12)


# --- scores --------------------------------------------------------------------------------------------------------


def test_the_law_of_the_losses_is_near_them_and_a_law_without_annealing_is_not(measured: list[Score]) -> None:
    errors = {one.entry: one.mean for one in measured}
    assert errors["noise_excess"] < 2e-3
    assert errors["annealing_s1_only"] > 5 * errors["noise_excess"]
    assert {AUTO, MEAN, NEAREST, "fsl"} <= errors.keys()
    chosen = next(one for one in measured if one.entry == AUTO)
    assert errors[AUTO] == errors[chosen.chose]


def test_only_rows_that_no_fitted_run_has_are_scored(measured: list[Score]) -> None:
    """`drop` is `constant` until its LR falls, with noise of its own: all its rows are new; a copy has none."""
    found = made()
    copy = found.curves[found.curves["run"] == "wsd0.01"].assign(run="copy")
    plan = found.schedules[found.schedules["run"] == "wsd0.01"].assign(run="copy")
    both = sets.Curves(pd.concat([found.curves, copy]), pd.concat([found.schedules, plan]), "")
    one = split(FIT, ["copy", *TEST])
    rows = Rows(one, *sets.of_split(both, one))
    assert rows.tested("copy", 0.0).empty
    assert len(rows.tested(TEST[0], 0.0)) == measured[0].rows


def score(entry: str, mean: float, split: str = "a", run: str = "r", **more: Any) -> Score:
    known: dict[str, Any] = {"worst": mean, "end": mean, "mean_inside": None, "end_inside": None, "chose": ""}
    known |= {"rows_inside": None}
    known |= {"parameters": None, "lambda_": None, "objective": None, **more}
    return Score("made", split, "schedule", entry, run, 5, mean, **known)


def test_the_board() -> None:
    rows = [
        score("one", 0.01, parameters=4, mean_inside=True, end_inside=False, rows_inside=0.5, end=-0.02),
        score("one", 0.03, "b", parameters=4, mean_inside=True, end_inside=True, rows_inside=1.0, end=0.04),
        score("two", 0.02, parameters=5),
        score("two", 0.01, "b", parameters=5),
        score(AUTO, 0.01, parameters=4),
        score(AUTO, 0.03, "b", parameters=4),
        score(NEAREST, 0.08),
        score("s1_only", 0.04, "b"),
    ]
    found = {row.entry: row for row in board.board(rows)}
    assert next(iter(found)) == "two"
    one = found["one"]
    assert (one.mean, one.worst, one.end, one.bias) == pytest.approx((0.02, 0.03, 0.03, 0.01))
    assert one.skill_nearest == pytest.approx(1 - 0.01 / 0.08)  # on the run that both have
    assert one.skill_s1 == pytest.approx(1 - 0.03 / 0.04)
    assert (one.mean_covered, one.end_covered) == (1.0, 0.5)
    assert one.rows_covered == pytest.approx(0.75)
    assert found["two"].mean_covered is None
    assert found[AUTO].regret == pytest.approx((0.0 + 0.02) / 2)
    assert one.regret is None


def test_what_is_written(measured: list[Score]) -> None:
    rows = board.board(measured)
    text = board.markdown(rows, 7)
    assert "Splits of version 7" in text
    assert text.count("\n| ") == len(rows) + 1
    page = board.page(measured, rows, 7, {"made": "0" * 64})
    assert page.count("<tr") == len(rows) + 1
    assert "<svg" in page
    assert not re.findall(r'(?:src|href)="https?:', page)  # it stands by itself
    assert len(pd.read_csv(__import__("io").StringIO(board.csv(rows)))) == len(rows)


LAW = """
from cpt_dynamics.laws.annealing import forward, irreducible
from cpt_dynamics.laws import Law
LAWS = [Law("flat_{}", "without annealing", (irreducible(), forward("s1pt", "s1cpt")))]
"""


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_command(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, processes: str) -> None:
    found = made()
    read: Callable[[str], sets.Curves] = lambda name: found  # noqa: E731
    monkeypatch.setattr(sets, "read", read)
    path, law, out = tmp_path / "splits.yaml", tmp_path / "mine.py", tmp_path / "board"
    law.write_text(LAW.format(processes), encoding="utf-8")
    stated = Splits(version=3, splits={"one": split(FIT, TEST)})
    path.write_text(yaml.safe_dump(stated.model_dump(mode="json")), encoding="utf-8")
    own = ["--laws", f"flat_{processes}", "--law-file", str(law), "--processes", processes]
    assert main(["benchmark", "--splits", str(path), *own, "--out", str(out), "--json"]) == 0
    said = capsys.readouterr()
    assert "1 of 1: " in said.err
    result = json.loads(said.out)
    assert result == json.loads((out / "results.json").read_text())
    assert result["splits"] == 3
    assert result["sha256"] == {"made": "0" * 64}
    errors = {row["entry"]: row["mean"] for row in result["board"]}
    assert errors[f"flat_{processes}"] > errors["annealing"]
    assert {path.name for path in out.iterdir()} == {
        "results.json",
        "leaderboard.csv",
        "leaderboard.md",
        "leaderboard.html",
    }
    assert main(["benchmark", "--splits", str(path), "--processes", "1"]) == 0
    assert "skill over S1 alone" in capsys.readouterr().out
