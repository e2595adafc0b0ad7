"""Splits as tasks: what is written, read back and scored by code of its own, is what the benchmark says."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds import REPOSITORY
from worlds.benchmark import FIT, TEST, made, split

from cpt_dynamics.fitting import choice
from cpt_dynamics.leaderboard import board, export, scores, sets, splits
from cpt_dynamics.leaderboard.scores import Rows


def task(folder: Path) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    train, test = (pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "test"))
    return runpy.run_path(str(folder / "law.py")), train, test


def error(law: dict[str, Any], test: pd.DataFrame) -> float:
    """In plain loops: over rows, runs and groups."""
    groups = []
    for group, of_group in test.groupby("group"):
        runs = []
        for _, rows in of_group.groupby("run"):
            given = rows[list(law["INPUTS"])].to_dict("records")
            said = [one["loss"] for one in law["law"](given, group)]
            misses = [abs(a / b - 1) for a, b in zip(said, rows["loss"], strict=True)]
            runs.append(sum(misses) / len(misses))
        groups.append(sum(runs) / len(runs))
    return sum(groups) / len(groups)


def of_board(there: pytest.MonkeyPatch, law: str, **groups: Rows) -> float:
    """The number of the board, on which this law is the only one."""
    there.setattr(choice, "candidates", lambda runs: [law])
    there.setattr(scores, "also", lambda runs: [])
    found = board.board([score for name, rows in groups.items() for score in scores.scores(name, rows)])
    return next(row.mean for row in found if row.entry == law)


@pytest.mark.parametrize("name", ["cpu_general", "cpu_strong"])
def test_the_kits_own_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(REPOSITORY)
    one = splits.load().splits[name]
    rows = Rows(one, *sets.of_split(sets.read("cpu"), one))
    folder = export.write(name, {name: rows}, tmp_path, 1)
    law, train, test = task(folder)
    assert error(law, test) == pytest.approx(of_board(monkeypatch, "cpt", one=rows), rel=1e-9)
    assert set(train["run"]) <= set(one.fit)
    assert set(test["run"]) == set(one.test)
    assert not set(zip(train["step"], train["loss"], strict=True)) & set(zip(test["step"], test["loss"], strict=True))
    assert (test["continual"] == 1).all()
    assert "the kit's licence" in (folder / "README.md").read_text(encoding="utf-8")


def test_groups_of_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two groups whose losses differ: each has parameters of its own, and the schedules give the areas again."""
    found = made()
    higher = sets.Curves(found.curves.assign(loss=found.curves["loss"] + 1), found.schedules, "")
    of = {name: Rows(split(FIT, TEST), found.curves, found.schedules) for name in ("many/a", "many/b", "alone")}
    of["many/b"] = Rows(split(FIT, TEST), higher.curves, higher.schedules)
    tasks = export.tasks(of)
    assert {name: list(groups) for name, groups in tasks.items()} == {"many": ["a", "b"], "alone": ["alone"]}
    folder = export.write("many", tasks["many"], tmp_path, 1)
    law, _, test = task(folder)
    assert error(law, test) == pytest.approx(
        of_board(monkeypatch, "annealing", a=of["many/a"], b=of["many/b"]), rel=1e-9
    )
    assert law["PARAMETERS"]["b"]["L0"] > law["PARAMETERS"]["a"]["L0"] + 0.9
    plans = pd.read_parquet(folder / "schedules.parquet")
    areas = plans.assign(s1=plans.groupby(["group", "run"])["forward"].cumsum())
    both = test.merge(areas, on=["group", "run", "step"])
    np.testing.assert_allclose(both["s1"], both["s1pt"], rtol=1e-12)
    assert set(plans["run"]) == {*FIT, *TEST}


def test_the_baseline_can_be_fitted_again(tmp_path: Path) -> None:
    """From its own parameters it stays; with a loss twice as large it follows."""
    rows = Rows(split(FIT, TEST), made().curves, made().schedules)
    law, train, _ = task(export.write("alone", {"alone": rows}, tmp_path, 1))
    points = train[list(law["INPUTS"])].to_numpy()
    again = law["fit_scaling_law"](points, train["loss"].to_numpy())
    known = list(law["PARAMETERS"]["alone"].values())
    np.testing.assert_allclose(
        law["scaling_law_func"](points, again), law["scaling_law_func"](points, known), rtol=1e-4
    )
    doubled = law["fit_scaling_law"](points, 2 * train["loss"].to_numpy())
    np.testing.assert_allclose(law["scaling_law_func"](points, doubled), 2 * train["loss"], rtol=2e-2)
