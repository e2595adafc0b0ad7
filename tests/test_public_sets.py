"""The public sets lr-scheduling and delphi: schedules, reading, digests, fetching from a server, the command.

Tests that need the real curves run where CPT_DYNAMICS_PUBLIC_CURVES names a folder that holds them.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds import REPOSITORY
from worlds.public import ID, LOGS, LOSSES, OTHER, delphi_facts, log, lr_scheduling_facts, page, rows_of, served
from worlds.public import write_logs as written_logs

from cpt_dynamics.cli import main
from cpt_dynamics.curves import public, table
from cpt_dynamics.curves.public import delphi, fetching, lr_scheduling
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import read_json

REAL = os.environ.get(public.VARIABLE, "")
needs_curves = pytest.mark.skipif(
    not REAL, reason=f"{public.VARIABLE} is not set to a folder that holds the public curves"
)
CONSTANT, BRANCH, COSINE = LOGS


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a server on this machine with the logs and the page."""
    monkeypatch.delenv(public.VARIABLE, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    written_logs(tmp_path / "served")
    (tmp_path / "served/delphi-midtraining").mkdir()
    (tmp_path / "served/delphi-midtraining/fixed.html").write_text(page())
    with served(tmp_path / "served") as found:
        yield found


def refused(match: str, call: Any, *given: Any) -> None:
    with pytest.raises(UserError, match=match) as error:
        call(*given)
    assert "\n" not in str(error.value)


# Schedules


def test_wsd_and_constant_start_at_a_hundredth_and_decay_over_their_share() -> None:
    constant, linear = lr_scheduling.lr("5e-4-constant-50k"), lr_scheduling.lr("5e-4-wsd-linear-0.4-25000")
    root = lr_scheduling.lr("1e-4-wsd-sqrt-0.2-50000")
    assert (len(constant), len(linear), len(root)) == (50000, 25000, 50000)
    assert constant[[0, 50, 150]] == pytest.approx([5e-6, 8.75e-5, 2.525e-4])  # logged at 50 and 150
    assert np.ptp(constant[300:]) == 0
    assert linear[[14999, 15000, 20000, 24999]] == pytest.approx([5e-4, 5e-4, 2.5e-4, 5e-8])
    assert root[[40000, 42500]] == pytest.approx([1e-4, 5e-5])


def test_cosines_end_at_their_floor() -> None:
    zero, tenth = lr_scheduling.lr("1e-3-cosine-25k"), lr_scheduling.lr("1e-3-cos10-25000")
    assert (zero[-1], tenth[-1]) == pytest.approx((1e-7, 1e-4))
    assert (zero[0], zero[299], tenth[299]) == pytest.approx((1e-5, 1e-3, 1e-3))


@pytest.mark.parametrize("run", ["", "5e-4-constant-0k", "5e-4-wsd-linear-50000", "5e-4-wsd-cubic-0.2-5000", "cosine"])
def test_an_unknown_schedule_is_an_error(run: str) -> None:
    refused("is not known", lr_scheduling.lr, run)


def test_delphi_warms_up_holds_and_decays() -> None:
    base = delphi.published(REPOSITORY / delphi.PUBLISHED).bases["9e18"]
    before, after = delphi.pretraining_lr(base.pretraining), delphi.continual_lr(base, 0.5)
    peak, steps = base.pretraining.peak_lr, base.pretraining.steps
    assert (len(before), len(after)) == (steps, base.steps)
    assert before[[0, steps // 10, steps // 2]] == pytest.approx([0, peak, peak], rel=1e-3)
    assert before[-1] == pytest.approx(peak / int(0.2 * steps))
    assert after[[0, base.warmup_steps]] == pytest.approx([0, peak / 2])
    assert np.ptp(np.diff(after[base.warmup_steps :])) == pytest.approx(0, abs=1e-12)
    assert 0 < after[-1] < 1e-3 * peak


# lr-scheduling


def test_logs_are_downloaded_checked_and_read_without_a_network(address: str, tmp_path: Path) -> None:
    path = lr_scheduling_facts(tmp_path / "facts.yaml", address)
    record = read_json(lr_scheduling.fetch(tmp_path / "got", path=path))
    assert record["licence"] == "MIT"
    assert record["credit"].startswith("Fabian Schaipp")
    assert [entry["path"] for entry in record["files"]] == [f"{run}.json" for run in LOGS]
    found = lr_scheduling.read(tmp_path / "got", lr_scheduling_facts(tmp_path / "facts.yaml", "http://127.0.0.1:1"))
    table.check_pair(found.curves, found.schedules)
    table.check_schedules(found.schedules, "schedules")
    for run in LOGS:
        rows = found.curves[found.curves["run"] == run]
        assert list(zip(rows["step"], rows["loss"], strict=True)) == [row for row in rows_of(run) if row[0] > 0]
        assert rows["lr"].tolist() == lr_scheduling.lr(run)[rows["step"].to_numpy() - 1].tolist()
    runs = found.runs.set_index("run")
    assert runs["schedule"].to_dict() == {CONSTANT: "constant", BRANCH: "wsd", COSINE: "cos10"}
    assert list(runs.loc[BRANCH, ["decay", "share", "peak_lr", "steps"]]) == ["linear", 0.4, 5e-4, 1000]
    assert runs["checked"].tolist() == [True] * 3
    assert set(fetching.RUN_COLUMNS) <= set(found.runs)


def test_a_copied_table_gives_the_same_curves_and_makes_way_for_logs(address: str, tmp_path: Path) -> None:
    rows = [(run, step, loss) for run in LOGS for step, loss in rows_of(run)]
    (tmp_path / "here/lr-scheduling").mkdir(parents=True)
    pd.DataFrame(rows, columns=["run", "step", "loss"]).to_parquet(tmp_path / "here/lr-scheduling/curves.parquet")
    path = lr_scheduling_facts(tmp_path / "facts.yaml", address)
    lr_scheduling.fetch(tmp_path / "got", tmp_path / "here", path)
    copied = lr_scheduling.read(tmp_path / "got", path)
    lr_scheduling.fetch(tmp_path / "got", path=path)
    assert not (tmp_path / "got/curves.parquet").exists()
    downloaded = lr_scheduling.read(tmp_path / "got", path)
    for one, other in zip(copied, downloaded, strict=True):
        columns = ["run", "step"] if "step" in one else ["run"]
        pd.testing.assert_frame_equal(
            one.sort_values(columns, ignore_index=True), other.sort_values(columns, ignore_index=True)
        )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda raw: raw["history"]["val"]["val_loss"].__setitem__(1, 4.0), "5e-4-constant-1k has sha256"),
        (lambda raw: raw["history"]["train"]["train_lr"].__setitem__(3, 4e-4), "lr of step 200 is not that of"),
        (lambda raw: raw["history"]["val"].pop("val_loss"), "history.val.val_loss: Field required"),
        (lambda raw: raw["history"]["val"]["iter"].pop(), "val_loss has 6 values for 5 steps"),
        (lambda raw: raw["config"].update(iterations=2000), "is of 2000 steps"),
        (lambda raw: raw.pop("history"), "history: Field required"),
        (lambda raw: raw.update(history=[]), "history: Input should be"),
    ],
)
def test_a_log_that_differs_is_refused_before_anything_is_written(
    change: Any, match: str, address: str, tmp_path: Path
) -> None:
    raw = log(CONSTANT)
    change(raw)
    (tmp_path / "served" / LOGS[CONSTANT]).write_text(json.dumps(raw))
    path = lr_scheduling_facts(tmp_path / "facts.yaml", address)
    refused(match, lr_scheduling.fetch, tmp_path / "got", None, path)
    assert not (tmp_path / "got").exists()


def test_a_log_that_is_missing_cut_or_changed_after_fetching_is_one_line(address: str, tmp_path: Path) -> None:
    path = lr_scheduling_facts(tmp_path / "facts.yaml", address)
    lr_scheduling.fetch(tmp_path / "got", path=path)
    one = tmp_path / f"got/{COSINE}.json"
    text = one.read_text()
    one.write_text(text[: len(text) // 2])
    refused("is not valid JSON", lr_scheduling.read, tmp_path / "got", path)
    one.write_text(text.replace("3.6666666666666665", "3.7"))
    refused("1e-3-cos10-1000 has sha256", lr_scheduling.read, tmp_path / "got", path)
    one.unlink()
    refused("does not exist: fetch the public curves", lr_scheduling.read, tmp_path / "got", path)
    (tmp_path / "served" / LOGS[COSINE]).unlink()
    refused("cosine.json cannot be downloaded .*404", lr_scheduling.fetch, tmp_path / "got", None, path)


def test_a_table_of_another_form_is_refused(tmp_path: Path) -> None:
    path = lr_scheduling_facts(tmp_path / "facts.yaml")
    good = pd.DataFrame({"run": CONSTANT, "step": [0], "loss": [5.0]})
    for bad, match in (
        (good.assign(run="5e-4-constant-9k"), "'5e-4-constant-9k', which"),
        (good.drop(columns="run"), "lacks the column 'run'"),
        (good.drop(columns="loss"), "lacks the column 'loss'"),
        (good, "has sha256"),
        (good.iloc[:0], "has no run"),
    ):
        bad.to_parquet(tmp_path / "curves.parquet")
        refused(match, lr_scheduling.read, tmp_path, path)
    (tmp_path / "curves.parquet").write_bytes(b"PAR1")
    refused("is not a readable parquet file", lr_scheduling.read, tmp_path, path)


# Delphi


def test_the_page_is_downloaded_checked_and_read_without_a_network(address: str, tmp_path: Path) -> None:
    path = delphi_facts(tmp_path / "facts.yaml", address)
    record = read_json(delphi.fetch(tmp_path / "got", path=path))
    assert "Marin" in record["credit"]
    assert [entry["path"] for entry in record["files"]] == ["fixed.html"]
    found = delphi.read(tmp_path / "got", delphi_facts(tmp_path / "facts.yaml", "http://127.0.0.1:1"))
    table.check_pair(found.curves, found.schedules)
    table.check_schedules(found.schedules, "schedules")
    runs = found.runs.set_index("run")
    assert runs["checked"].to_dict() == {"3e18/p33m67/lr0.33": True, "3e18/p67m33/lr0.83": False}
    assert runs["complete"].tolist() == [True, False]
    assert runs["replay"].tolist() == [0.33, 0.67]
    assert runs["id"].tolist() == [ID, OTHER]
    peak = 0.33 * 0.0027599905274620106
    assert runs["peak_lr"].iloc[0] == pytest.approx(peak)
    rows = found.curves[found.curves["run"] == "3e18/p33m67/lr0.33"]
    assert rows["phase"].tolist() == ["pretraining", "continual", "continual"]
    assert rows["phase_step"].tolist() == [37001, 201, 7400]
    assert rows["step"].tolist() == [37001, 37202, 44401]
    assert rows["loss"].tolist() == [2.5, 1.9, 1.46]
    assert rows["lr"].tolist()[1:] == pytest.approx([peak * 200 / 740, peak / (7400 - 740)])
    assert rows["tokens"].iloc[-1] == 44401 * 8 * 4096


def test_a_copied_table_gives_the_curves_of_the_page(tmp_path: Path) -> None:
    lines = [f"{ID},{step},{loss}" for step, loss in LOSSES[ID].items()]
    (tmp_path / "here/delphi").mkdir(parents=True)
    (tmp_path / "here/delphi/curves.csv").write_text("\n".join(["run_id,step,loss", *lines, ""]))
    path = delphi_facts(tmp_path / "facts.yaml")
    delphi.fetch(tmp_path / "got", tmp_path / "here", path)
    copied = delphi.read(tmp_path / "got", path)
    (tmp_path / "page").mkdir()
    (tmp_path / "page/fixed.html").write_text(page({ID: LOSSES[ID]}))
    for one, other in zip(copied, delphi.read(tmp_path / "page", path), strict=True):
        pd.testing.assert_frame_equal(one, other)
    (tmp_path / "got/curves.csv").write_text("run_id,step\na,1\n")
    refused("lacks the column 'loss'", delphi.read, tmp_path / "got", path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("<html></html>", 'has no <script id="payload"'),
        (page()[:900], 'has no <script id="payload"'),
        (page().replace('"points":[', '"points":[,'), "payload is valid JSON"),
        (page().replace('"points"', '"dots"'), "points: Field required"),
        (page().replace('"step":200', '"step":"two"'), r"points\.1\.step: String should match"),
        (page().replace('"value":1.9}', '"value":null}'), r"points\.1\.value: Input should be"),
        (page().replace('"value":1.9}', '"value":NaN}'), r"points\.1\.value: String should match"),
        (page().replace('"value":1.9}', '"value":1.90}'), "lr33-a003 has sha256"),
        (page({OTHER: LOSSES[OTHER]}), f"lacks the run {ID}"),
    ],
)
def test_a_damaged_page_is_refused_before_anything_is_written(
    text: str, match: str, address: str, tmp_path: Path
) -> None:
    (tmp_path / "served/delphi-midtraining/fixed.html").write_text(text)
    path = delphi_facts(tmp_path / "facts.yaml", address)
    refused(match, delphi.fetch, tmp_path / "got", None, path)
    assert not (tmp_path / "got").exists()
    (tmp_path / "got").mkdir()
    (tmp_path / "got/fixed.html").write_text(text)
    refused(match, delphi.read, tmp_path / "got", path)


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ({7400: "2"}, "has a step beyond its 7400"),
        ({200: "0"}, "a loss that is not finite and positive"),
    ],
)
def test_an_unchecked_run_must_still_make_sense(rows: dict[int, str], match: str, tmp_path: Path) -> None:
    (tmp_path / "fixed.html").write_text(page({ID: LOSSES[ID], OTHER: rows}))
    refused(match, delphi.read, tmp_path, delphi_facts(tmp_path / "facts.yaml"))


def test_runs_of_which_no_schedule_is_known_are_left_out(tmp_path: Path) -> None:
    strange = [
        OTHER.replace("3e18", "7e18"),
        OTHER.replace("lr83", "lr99"),
        OTHER.replace("p67m33", "p9m1"),
        "one-other-run",
    ]
    (tmp_path / "fixed.html").write_text(page({ID: LOSSES[ID], **{run: {0: "2"} for run in strange}}))
    found = delphi.read(tmp_path, delphi_facts(tmp_path / "facts.yaml"))
    assert found.runs["id"].tolist() == [ID]
    (tmp_path / "fixed.html").write_text(page({run: {0: "2"} for run in strange}))
    refused("has no run of which", delphi.read, tmp_path, delphi_facts(tmp_path / "facts.yaml", runs={}))


def test_an_endless_page_is_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delphi, "LARGEST", 10)
    path = delphi_facts(tmp_path / "facts.yaml", address)
    refused("larger than 10 bytes", delphi.fetch, tmp_path / "got", None, path)


# The command and the registry


def test_what_is_published_states_licences_and_digests() -> None:
    for chosen in public.SETS.values():
        assert (REPOSITORY / chosen.facts).is_file()
    runs = lr_scheduling.published(REPOSITORY / lr_scheduling.PUBLISHED).runs
    assert len(runs) == len({log.file for log in runs.values()}) == 117
    assert all(len(lr_scheduling.lr(run)) >= 15000 for run in runs)
    known = delphi.published(REPOSITORY / delphi.PUBLISHED)
    assert len(known.runs) == 56
    assert len(known.bases) == 8


def test_one_set_is_fetched_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/published").mkdir(parents=True)
    delphi_facts(tmp_path / delphi.PUBLISHED)
    lines = [f"{ID},{step},{loss}" for step, loss in LOSSES[ID].items()]
    (tmp_path / "here/delphi").mkdir(parents=True)
    (tmp_path / "here/delphi/curves.csv").write_text("\n".join(["run_id,step,loss", *lines, ""]))
    monkeypatch.setenv(public.VARIABLE, str(tmp_path / "here"))
    assert main(["public-curves", "--set", "delphi"]) == 0
    assert capsys.readouterr().out == "data/public/delphi/source.json\n"
    assert main(["public-curves", "--set", "delphi", "--to", "there"]) == 0
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["curves.csv", "source.json"]
    assert main(["public-curves", "--set", "delphi", "multi-power", "--to", "there"]) != 0
    assert "--to there holds one set" in capsys.readouterr().err
    assert main(["public-curves", "--set", "lr-scheduling"]) != 0
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    monkeypatch.setenv(public.VARIABLE, "")
    assert len(public.read("delphi").runs) == 1
    refused("fetches these curves", public.read, "lr-scheduling")
    refused("no set 'other'", public.read, "other")
    monkeypatch.setenv(public.VARIABLE, str(tmp_path / "here"))
    shutil.rmtree(tmp_path / "data/public")
    assert len(public.read("delphi").runs) == 1


# The real curves


@needs_curves
def test_the_real_sets_are_fetched_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    rows = {"multi-power": (6265, 27), "lr-scheduling": (5700, 50), "delphi": (2470, 56)}
    for name, chosen in public.SETS.items():
        chosen.fetch(tmp_path / name, REAL)
        found = public.read(name, tmp_path / name)
        assert (len(found.curves), len(found.runs)) == rows[name]
        assert found.runs["checked"].all()
        assert set(fetching.RUN_COLUMNS) <= set(found.runs)
        table.check_pair(found.curves, found.schedules)
        table.check_schedules(found.schedules, name)
        assert set(found.runs["run"]) == set(found.curves["run"]) == set(found.schedules["run"])


@needs_curves
def test_formulas_are_the_lrs_that_were_logged() -> None:
    logged = pd.read_parquet(Path(REAL) / "lr-scheduling/schedules.parquet")
    for run, rows in logged.groupby("run", observed=True):
        every = rows.iloc[50:-1:50]  # between these, the table's LRs are interpolated
        rates = lr_scheduling.lr(str(run))[every["step"]]
        assert rates == pytest.approx(every["lr"].to_numpy(), rel=2e-6), run


@needs_curves
def test_peaks_of_continual_pretraining_are_those_of_the_table() -> None:
    table_of_runs = pd.read_csv(Path(REAL) / "delphi/runs.csv").set_index("run_id")
    found = delphi.read(Path(REAL) / "delphi", REPOSITORY / delphi.PUBLISHED).runs.set_index("id")
    for name, other in (("peak_lr", "peak_lr"), ("steps", "steps"), ("warmup_steps", "warmup_steps")):
        assert found[name].to_numpy() == pytest.approx(table_of_runs.loc[found.index, other].to_numpy(), rel=1e-12)
