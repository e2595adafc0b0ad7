"""The curve table: written and read back, features, and every mistake explained."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from worlds.curves import curve, schedule

from cpt_dynamics import curves
from cpt_dynamics.areas import AreaSettings, areas
from cpt_dynamics.errors import UserError


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two runs of 60 PT and 40 CPT steps, evaluated every 10 steps on two validation sets."""
    plans, rows = [], []
    for run, last in [("a", 1e-3), ("b", 1e-4)]:
        lr = np.concatenate([np.linspace(1e-4, 1e-3, 5), np.linspace(1e-3, last, 55), np.linspace(last, 0, 40)])
        plan = schedule(run, lr, 60)
        plans.append(plan)
        for validation in ("domain", "general"):
            steps = np.arange(10, 101, 10)
            rows.append(curve(plan, steps, validation, 3 + 1 / steps, 2048, seed=1, model="small", params=1000))
    return pd.concat(rows, ignore_index=True), pd.concat(plans, ignore_index=True)


def test_written_tables_come_back(tmp_path: Path) -> None:
    table, plan = tables()
    curves.write(tmp_path / "curves.parquet", table.sample(frac=1, random_state=0))
    curves.write_schedules(tmp_path / "schedules.parquet", plan)
    found = curves.read_schedules(tmp_path / "schedules.parquet")
    pd.testing.assert_frame_equal(found, plan, check_dtype=False)
    pd.testing.assert_frame_equal(curves.read(tmp_path / "curves.parquet", found), table, check_dtype=False)


def test_tables_of_runs_are_read_together(tmp_path: Path) -> None:
    table, plan = tables()
    table = table.assign(branch="a-1")
    for run in ("b", "a"):
        curves.write(tmp_path / f"{run}.parquet", table[table["run"] == run])
        curves.write_schedules(tmp_path / f"{run}.schedules.parquet", plan[plan["run"] == run])
    found, schedules = curves.read_runs(tmp_path, ["b", "a", "b"])
    pd.testing.assert_frame_equal(found, table, check_dtype=False)
    pd.testing.assert_frame_equal(schedules, plan, check_dtype=False)
    with pytest.raises(UserError, match=r"c\.parquet does not exist"):
        curves.read_runs(tmp_path, ["a", "c"])


def test_measurements_are_told_by_their_branch_or_by_the_lrs_before_them() -> None:
    table, plan = tables()  # the LRs of the two runs differ from step 6 on
    twin, its_plan = table[table["run"] == "a"].assign(run="c"), plan[plan["run"] == "a"].assign(run="c")
    rows, plans = pd.concat([table, twin], ignore_index=True), pd.concat([plan, its_plan], ignore_index=True)
    for known in (rows, rows.assign(branch=rows["run"].replace("c", "a"))):
        assert set(curves.unique_measurements(known, plans)["run"]) == {"a", "b"}
        assert len(curves.unique_measurements(known, plans)) == len(table)
    apart = rows.assign(branch=rows["run"])  # steps that were trained twice
    assert len(curves.unique_measurements(apart, plans)) == len(rows)
    some = rows.assign(branch=rows["run"].where(rows["run"] != "b"))  # of a table without the column
    assert len(curves.unique_measurements(some, plans)) == len(table)
    same = apart.assign(branch="x")[apart["run"] != "b"]
    later = same["phase_step"] + 10 * (same["run"] == "c")  # as if the transfer of one came earlier
    assert len(curves.unique_measurements(same, plans)) == len(table) / 2
    assert len(curves.unique_measurements(same.assign(phase_step=later), plans)) == len(table)


@pytest.mark.parametrize("carry_over", [True, False])
def test_features_are_the_areas_at_the_evaluated_steps(carry_over: bool) -> None:
    table, plan = tables()
    shuffled = table.sample(frac=1, random_state=1)  # rows keep their order and index
    found = curves.features(shuffled, plan, 0.9, "true-in-S1", carry_over)
    assert list(found.index) == list(shuffled.index)
    assert set(found["settings"]) == {AreaSettings(0.9, "true-in-S1", carry_over, 0.1)}
    for run in ("a", "b"):
        expected = areas(plan[plan["run"] == run]["lr"], 60, 0.9, "true-in-S1", carry_over=carry_over)
        rows = found[found["run"] == run]
        for column in curves.AREA_COLUMNS:
            assert np.array_equal(rows[column], getattr(expected, column)[rows["step"] - 1])


def test_an_unknown_pretraining_counts_from_lr_zero() -> None:
    table, plan = tables()
    plan = plan[plan["phase"] == "continual"].assign(step=lambda t: t["step"] - 60)
    table = table[table["phase"] == "continual"].assign(step=lambda t: t["step"] - 60)
    found = curves.features(table, plan, 0.9)
    assert np.all(found["s1pt"] == 0)
    first = found[(found["run"] == "a") & (found["step"] == 10)]
    lr = plan[plan["run"] == "a"]["lr"]
    assert np.allclose(first["s2cpt"], areas(lr, 0, 0.9, initial_lr=0.0).s2cpt[9])


Spoil = Callable[[pd.DataFrame], pd.DataFrame]
CURVE_FAULTS: list[tuple[str, Spoil]] = [
    ("lacks the column 'seed'", lambda t: t.drop(columns="seed")),
    ("holds no rows", lambda t: t.iloc[:0]),
    ("step 20 has a loss", lambda t: t.assign(loss=t["loss"].where(t["step"] != 20, np.nan))),
    ("a loss", lambda t: t.assign(loss=-t["loss"])),
    ("negative or missing lr", lambda t: t.assign(lr=t["lr"] - 1)),
    ("twice or out of order", lambda t: t.assign(step=t["step"].replace(20, 10))),
    ("steps count from 1", lambda t: t.assign(step=t["step"] - 10)),
    ("a phase that is not", lambda t: t.assign(phase="warm")),
    (
        "pre-training after",
        lambda t: t.assign(phase=np.where(t["step"] == 20, "continual", t["phase"])),
    ),
    ("phase_step", lambda t: t.assign(phase_step=t["step"])),
    ("column 'step' must hold one integer", lambda t: t.assign(step=t["step"] + 0.5)),
    ("column 'run' must hold one text", lambda t: t.assign(run=1)),
    ("column 'loss' must hold one number", lambda t: t.assign(loss="high")),
    ("token count", lambda t: t.assign(tokens=-t["tokens"])),
    ("bits_per_byte", lambda t: t.assign(bits_per_byte=0.0)),
]


@pytest.mark.parametrize(("words", "spoil"), CURVE_FAULTS, ids=[words for words, _ in CURVE_FAULTS])
def test_a_faulty_curve_table_is_explained(words: str, spoil: Spoil) -> None:
    table = spoil(tables()[0])
    with pytest.raises(UserError, match=words) as caught:
        curves.check_curves(table, "mine.parquet")
    assert str(caught.value).startswith("mine.parquet")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "spoil"),
    [
        ("without a gap", lambda t: t.drop(index=3)),
        ("negative or missing lr", lambda t: t.assign(lr=t["lr"] - 1)),
        ("a phase that is not", lambda t: t.assign(phase="warm")),
        ("lacks the column", lambda t: t.drop(columns="phase")),
    ],
)
def test_faulty_schedules_are_explained(words: str, spoil: Spoil) -> None:
    plan = spoil(tables()[1])
    with pytest.raises(UserError, match=words):
        curves.check_schedules(plan, "plan.parquet")


@pytest.mark.parametrize(
    ("words", "spoil"),
    [
        ("an lr other than", lambda t: t.assign(lr=t["lr"] * 2)),
        ("the schedules do not have", lambda t: t.drop(index=t.index[t["run"] == "b"])),
        (
            "a phase other than",
            lambda t: t.assign(phase=np.where(t["step"] > 70, "continual", "pretraining")),
        ),
    ],
)
def test_schedules_of_other_runs_are_refused(words: str, spoil: Spoil) -> None:
    table, plan = tables()
    plan = spoil(plan)
    with pytest.raises(UserError, match=words):
        curves.features(table, plan)


def test_a_table_of_another_kind_is_refused(tmp_path: Path) -> None:
    curves.write_schedules(tmp_path / "x.parquet", tables()[1])
    with pytest.raises(UserError, match="schema"):
        curves.read(tmp_path / "x.parquet")
