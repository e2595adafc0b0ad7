"""Campaigns: stages that fit into a slot, parts that travel, stages that are killed, and results that come home."""

import contextlib
import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
import zstandard
from worlds import REPOSITORY
from worlds.bundles import flipped, planned
from worlds.campaign import FIGURES, RUNS, away, in_this_process, two_stages
from worlds.released import recommend
from worlds.results import pretend_done
from worlds.tiny import EXPERIMENTS, TINY, WORDS
from worlds.workflow import copy_parts, idle, snakemake

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config, Local, Model
from cpt_dynamics.curves import trials
from cpt_dynamics.curves.assemble import assemble
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Branch, Plan, estimates
from cpt_dynamics.experiments.branches import joined
from cpt_dynamics.files import read_json, read_table, sha256, write_json, write_table
from cpt_dynamics.layout import BRANCH_SCHEMA, Layout
from cpt_dynamics.planning import recommendations
from cpt_dynamics.slots import campaign, parts, stages
from cpt_dynamics.training import branch as training
from cpt_dynamics.training import device, workers

GPU = "config/scales/gpu.yaml"


def ids(plan: Plan) -> dict[str, str]:
    return {run: chain[-1][0] for run, chain in plan.chains.items()}


# --- stages ------------------------------------------------------------------------------------------------------


def cut(plan: Plan, config: Config, seconds: float, each: float = 10.0) -> list[stages.Stage]:
    groups = stages.grouped(experiments.load(config), plan, Path("config/campaign.yaml"))
    return stages.cut(groups, plan, stages.Times(dict.fromkeys(plan.branches, each), 1.0), seconds)


def test_stages_fit_into_their_time_with_all_that_they_start_from(home: Path) -> None:
    config, plan = planned()
    name = ids(plan)
    assert [stage.branches for stage in cut(plan, config, 100)] == [tuple(plan.branches)]
    made = cut(plan, config, 31)  # three branches of 10 s and a start
    assert [stage.number for stage in made] == [1, 2]
    assert made[0].branches == (name["trunk"], name["fork"], name["weak"])
    assert made[0].groups == ("fig02", "fig06")
    # The trunk is trained again for the branch that leaves it.
    assert made[1].branches == (name["late"], name["cosine"])
    assert stages.with_ancestors(made[1].branches, plan) == [name["trunk"], name["late"], name["cosine"]]
    # One that fits nowhere has a stage of its own, and is no obstacle to the others.
    assert [len(stage.branches) for stage in cut(plan, config, 5)] == [1, 1, 1, 1, 1]
    assert cut(plan, config, 31) == made
    covered = [branch for stage in made for branch in stage.branches]
    assert sorted(covered) == sorted(plan.branches)


def test_groups_leave_out_other_models_and_seeds_until_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(REPOSITORY)
    config = configuration.load([GPU])
    everything = experiments.load(config)
    plan = experiments.plan(everything.runs.values(), config)
    groups = stages.grouped(everything, plan, Path("config/campaign.yaml"))
    assert next(iter(groups)) == "spine"
    spine = [plan.branches[name].run for name in groups["spine"]]
    assert {(run.model, run.seed) for run in spine} == {("small", config.seed)}
    wanted = [name for figure in ("fig01", "fig02", "fig03", "fig10") for name in everything.runs_of(figure)]
    assert {branch.id for branch in plan.needed(wanted)} == set(groups["spine"])
    everywhere = [name for members in groups.values() for name in members]
    assert sorted(everywhere) == sorted(branch.id for branch in plan.needed(everything.chosen(None)))
    (tmp_path / "groups.yaml").write_text("groups: [{name: a, figure: [fig01]}]")
    assert main(["campaign", "plan", "--configfile", GPU, "--groups", str(tmp_path / "groups.yaml")]) == 2
    assert "groups.yaml: unknown key 'groups.0.figure'" in capsys.readouterr().err
    (tmp_path / "groups.yaml").write_text("groups: [{name: a, figures: [fig99]}]")
    assert main(["campaign", "plan", "--configfile", GPU, "--groups", str(tmp_path / "groups.yaml")]) == 2
    assert "no figure 'fig99'" in capsys.readouterr().err


def test_plan_prints_stages_and_writes_nothing(home: Path, capsys: Any) -> None:
    before = sorted(home.rglob("*"))
    short = 2.5 * next(iter(campaign.times(planned()[1], planned()[0]).branches.values())) / 60
    (home / "more.yaml").write_text("estimates: {start_minutes: 0}\n")
    assert main(["campaign", "plan", "--configfile", "more.yaml", "--minutes", str(short)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["stage", "new", "/", "again", "steps", "tokens", "minutes", "groups"]
    assert len([line for line in said if "missing" in line]) > 1
    assert any("estimated at 0.06 Tflop/s, not measured: small" in line for line in said)
    assert sorted(path for path in home.rglob("*") if path.name != "more.yaml") == before
    assert main(["campaign", "plan", "--minutes", "0"]) == 2
    assert "--minutes is 0" in capsys.readouterr().err


def test_measured_speeds_are_the_median_of_the_device_used_last(home: Path) -> None:
    config, plan = planned()
    layout = Layout(config)

    def manifest(run: str, device: str, speed: float, day: int) -> str:
        branch = plan.branches[ids(plan)[run]]
        stated: dict[str, Any] = {"tokens_per_second": speed, "wall_seconds": 8.0, "numerics": {"device": device}}
        pretend_done(branch, config, finished=f"2026-01-0{day}", **stated)
        return branch.id

    assert campaign.speeds(plan, config) == {}
    manifest("trunk", "old", 1.0, 1)
    for run, speed in (("fork", 100.0), ("weak", 900.0), ("late", 300.0)):
        manifest(run, "new", speed, 2)
    assert campaign.speeds(plan, config) == {"small": 300.0}
    # Two branches that shared the device for all of their time.
    write_json(layout.campaign / "records.json", {ids(plan)["late"]: {"device_seconds": 4.0}})
    assert campaign.speeds(plan, config) == {"small": 600.0}
    tokens = 12 * TINY["batch"]["sequences"] * TINY["batch"]["length"]
    assert campaign.times(plan, config).branches[ids(plan)["fork"]] == tokens / 600


def test_a_slot_hands_out_what_is_expected_to_end_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("cpt_dynamics.slots.campaign.time.monotonic", lambda: now)
    done: dict[str, float] = {}
    slot = campaign.Slot(100.0, stages.Times({"a": 300.0, "b": 40.0, "c": 50.0, "d": 30.0}, 0.0), done.__setitem__)
    assert slot.allows("a")  # the first one, however long
    slot.started("b")
    assert not slot.allows("a")
    assert slot.allows("c")
    slot.started("c")
    now = 20.0  # which the two have shared: 30 and 40 seconds are left of them
    assert not slot.allows("d")
    slot.ended("b", done=True)
    assert done == {"b": 10.0}
    now = 30.0
    assert slot.allows("d")
    slot.ended("c", done=False)
    assert done == {"b": 10.0}


class Stuck:
    """A worker that does not come to an end."""

    branch: str | None = None

    def __init__(self) -> None:
        self.connection, self.other = multiprocessing.Pipe()

    def start(self, branch: str) -> None:
        self.branch = branch


def test_at_the_end_of_a_slot_branches_are_left(home: Path) -> None:
    config, plan = planned()
    times, done = campaign.times(plan, config), dict[str, float]()
    slot = campaign.Slot(time.monotonic() + 0.2, times, done.__setitem__, clock=time.monotonic())
    worker = Stuck()
    assert workers._Schedule(dict(plan.branches), plan, Layout(config), slot).run([worker]) == []  # type: ignore[list-item]
    assert worker.branch == ids(plan)["trunk"]
    assert done == {}


# --- parts -------------------------------------------------------------------------------------------------------


def packed(folder: Path, limit: int = 8192) -> parts.Index:
    assert main(["campaign", "pack", "--out", str(folder), "--limit-mib", str(limit / 2**20)]) == 0
    return parts.Index.read(folder / "index.json")


def test_parts_travel_one_by_one(home: Path, tmp_path: Path, capsys: Any) -> None:
    index = packed(tmp_path / "out")
    capsys.readouterr()
    assert len(index.archives["text"]) >= 3
    for part in [*index.parts, *index.wheels]:
        path = tmp_path / "out" / part.name
        assert (path.stat().st_size, sha256(path)) == (part.size, part.sha256)
        assert part.size <= 8192
    came, work = tmp_path / "came", tmp_path / "work"
    came.mkdir()
    assert main(["campaign", "receive", str(came), "--to", str(work)]) == 2
    assert "has no index.json: send it with the first part" in capsys.readouterr().err
    shutil.copy(tmp_path / "out/index.json", came)
    names = [part.name for part in index.parts]
    for number, name in enumerate(names):
        shutil.copy(tmp_path / "out" / name, came)
        for _ in range(2):  # a part that comes twice does nothing
            assert main(["campaign", "receive", str(came), "--to", str(work)]) == 0
            said = capsys.readouterr().out
            if name != names[-1]:
                assert said == f"still missing: {', '.join(names[number + 1 :])}\n"
                with pytest.raises(UserError, match="is not unpacked"):
                    parts.unpacked(work)
        (came / name).unlink()
    assert said == f"all parts are here and unpacked: {work / 'tiny-bundle'}\n"
    for path in (home / "results/tiny/tokens").iterdir():
        assert (work / "tiny-bundle/results/tiny/tokens" / path.name).read_bytes() == path.read_bytes()
    # A file that was damaged after unpacking is put right; losses of earlier work stay.
    tokens, losses = (
        work / "tiny-bundle/results/tiny" / name for name in ("tokens/prose.train.bin", "branches/a.json")
    )
    whole = tokens.read_bytes()
    tokens.write_bytes(flipped(whole, 5))
    losses.parent.mkdir()
    losses.write_text("{}")
    assert main(["campaign", "receive", str(came), "--to", str(work)]) == 0
    assert tokens.read_bytes() == whole
    assert losses.exists()


def test_a_damaged_part_is_named_and_the_others_are_taken(home: Path, tmp_path: Path, capsys: Any) -> None:
    index = packed(tmp_path / "out")
    second = tmp_path / "out" / index.archives["text"][1].name
    whole = second.read_bytes()
    for damaged in (whole[:-1], flipped(whole, 100), b""):
        second.write_bytes(damaged)
        assert main(["campaign", "receive", str(tmp_path / "out"), "--to", str(tmp_path / "work")]) == 2
        assert f"error: {second.name} came over damaged" in capsys.readouterr().err
        held = {path.name for path in (tmp_path / "work/parts").iterdir()}
        assert held == {part.name for part in index.parts} - {second.name}
    second.write_bytes(whole)
    assert main(["campaign", "receive", str(tmp_path / "out"), "--to", str(tmp_path / "work")]) == 0
    (tmp_path / "out/index.json").write_text("{}")
    assert main(["campaign", "receive", str(tmp_path / "out"), "--to", str(tmp_path / "work")]) == 2
    assert "index.json: scale: Field required: it is damaged or of another version" in capsys.readouterr().err


def test_a_full_disk_is_one_line_and_the_next_call_goes_on(
    home: Path,
    tmp_path: Path,
    small_disk: Path,
    capsys: Any,
) -> None:
    packed(tmp_path / "out")
    capsys.readouterr()
    assert main(["campaign", "receive", str(tmp_path / "out"), "--to", str(small_disk)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: no space left for ")
    assert said.count("\n") == 1
    with pytest.raises(UserError, match="is not unpacked"):
        parts.unpacked(small_disk)
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert main(["campaign", "receive", str(tmp_path / "out"), "--to", str(small_disk)]) == 0


def test_only_parts_that_changed_are_sent_again(home: Path, tmp_path: Path, capsys: Any) -> None:
    first = packed(tmp_path / "out")
    assert packed(tmp_path / "out") == first
    (home / "config/experiments.yaml").write_text(yaml.safe_dump(EXPERIMENTS, sort_keys=False))
    second = packed(tmp_path / "out")
    assert second.archives["text"] == first.archives["text"]
    assert second.archives["code"] != first.archives["code"]
    assert packed(tmp_path / "out", 2**20).archives["text"] != first.archives["text"]
    left = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert left == {"index.json", "slot.py", "tiny-code-01.part", "tiny-text-01.part"}
    capsys.readouterr()
    assert main(["campaign", "pack", "--out", "text"]) == 2
    assert "text holds something else than the parts of a campaign" in capsys.readouterr().err
    assert main(["campaign", "pack", "--out", str(tmp_path / "small"), "--limit-mib", "0.00001"]) == 2
    assert "is more than the limit" in capsys.readouterr().err


# --- a stage, and the way home -----------------------------------------------------------------------------------


def stage(number: int, work: Path, out: Path, *options: str) -> int:
    return main(["campaign", "run", str(number), "--work", str(work), "--out", str(out), *options])


def test_stages_come_home_with_the_losses_of_one_machine(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None, capsys: Any
) -> None:
    config, plan = planned()
    minutes = two_stages(home, monkeypatch)
    training.train(plan.branches.values(), plan, config)
    expected = {name: read_table(Layout(config).branch(name), BRANCH_SCHEMA) for name in plan.branches}
    shutil.rmtree(home / "results/tiny/branches")
    shutil.rmtree(home / "results/tiny/checkpoints")
    work = away(home, tmp_path, minutes)
    out = tmp_path / "came"
    capsys.readouterr()
    assert stage(1, work, out) == 0
    assert "stage 1: 3 branches done, 0 left" in capsys.readouterr().out
    assert stage(3, work, out) == 2
    assert "there is no stage 3: choose one of 1, 2" in capsys.readouterr().err
    assert main(["campaign", "merge", str(out / "tiny-stage01-1.tar")]) == 0
    assert "3 branches taken as done; 3 of 5 are done" in capsys.readouterr().out
    assert main(["campaign", "status"]) == 0
    assert "next: stage 2 (fig06)" in capsys.readouterr().out
    assert main(["campaign", "plan"]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:3]] == ["fig06", "fig06"]
    # The working folder is lost, and the trunk trained again.
    shutil.rmtree(work)
    away(home, tmp_path, minutes)
    assert stage(2, work, out) == 0
    assert main(["campaign", "merge", *map(str, out.iterdir())]) == 0
    assert "2 branches taken as done, 3 were here before; 5 of 5 are done" in capsys.readouterr().out
    for name, table in expected.items():
        pd.testing.assert_frame_equal(read_table(Layout(config).branch(name), BRANCH_SCHEMA), table, check_exact=True)
    # On a CPU the second training of the trunk is the same, to the bit.
    assert not (home / "results/tiny/instances").exists()
    ledger = campaign.ledger(config)
    assert {name: row["stage"] for name, row in ledger.items()} == {
        ids(plan)[run]: number for run, number in {"trunk": 1, "fork": 1, "weak": 1, "late": 2, "cosine": 2}.items()
    }
    row = ledger[ids(plan)["late"]]
    assert row["parent"] == ids(plan)["trunk"]
    trunk = read_json(Layout(config).branch(ids(plan)["trunk"]).with_suffix(".json"))
    assert row["started_from"] == {"step": 20, "sha256": trunk["checkpoints"]["20"]}
    assert row["device"] == "cpu"
    assert row["device_seconds"] > 0
    assert main(["release", "--out", "released"]) == 0
    assert read_json("released/ledger.json") == read_json(campaign.ledger_path(config))
    assert "| `ledger.json` |" in Path("released/README.md").read_text(encoding="utf-8")
    assert main(["campaign", "status"]) == 0
    assert "all stages are done" in capsys.readouterr().out


def test_a_slot_that_is_too_short_goes_on_in_the_next(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None, capsys: Any
) -> None:
    config, plan = planned()
    two_stages(home, monkeypatch)
    work = away(home, tmp_path)
    out = tmp_path / "came"
    for number in range(1, 6):
        capsys.readouterr()
        assert stage(1, work, out, "--minutes", "0.1") == 0  # less than a branch is expected to take
        said = capsys.readouterr().out
        assert f"stage 1: {number} branches done, {5 - number} left" in said
        assert ("goes on where this one ended" in said) == (number < 5)
        assert main(["campaign", "merge", str(out / "tiny-stage01-1.tar")]) == 0
    assert len(campaign.ledger(config)) == 5
    # What is home is neither trained nor packed again.
    shutil.rmtree(work / "tiny-bundle/results/tiny/branches")
    shutil.rmtree(out)
    assert stage(1, work, out, "--done", str(campaign.ledger_path(config))) == 0
    assert list(out.iterdir()) == []
    assert set(campaign.ledger(config)) == set(plan.branches)
    # What was trained from another text is not home.
    rows = read_json(campaign.ledger_path(config))["branches"]
    for row in rows:
        row["text"] = {name: digest[::-1] for name, digest in row["text"].items()}
    write_json(tmp_path / "other.json", {"branches": rows})
    capsys.readouterr()
    assert stage(1, work, out, "--minutes", "0.1", "--done", str(tmp_path / "other.json")) == 0
    assert "stage 1: 1 branches done, 4 left" in capsys.readouterr().out


def failing(names: set[str]) -> Callable[..., list[str]]:
    """In place of `workers.train`: some branches fail, and keep back what starts from them."""

    def train(branches: Iterable[Branch], plan: Plan, config: Config, *rest: Any) -> list[str]:
        *_, watch = rest
        lost: list[str] = []
        for branch in branches:
            if branch.parent in lost:
                lost.append(branch.id)
                continue
            watch.started(branch.id)
            log = workers.log_of(branch.id, Layout(config))
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(f"{'.' * campaign.LOG}{branch.run.name} is over")
            if branch.id in names:
                lost.append(branch.id)
            else:
                training.train([branch], plan, config, skip_done=True)
            watch.ended(branch.id, done=branch.id not in names)
        return lost

    return train


def test_a_stage_in_which_all_fails_ends_the_slot(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    _, plan = planned()
    name = ids(plan)
    work, out = away(home, tmp_path, two_stages(home, monkeypatch)), tmp_path / "came"
    run = ["campaign", "run", "next", "--work", str(work), "--out", str(out)]
    monkeypatch.setattr(workers, "train", failing({name["trunk"]}))
    capsys.readouterr()
    assert main(run) == 1
    said = capsys.readouterr().out
    assert "stage 1: 0 branches done, 3 left" in said
    assert "none after it is begun" in said
    assert "stage 2" not in said
    (log,) = out.iterdir()
    assert log.name == "tiny-stage01.log"
    head, printed = log.read_text().splitlines()
    assert head == f"--- {name['trunk']}"
    assert printed.endswith("trunk is over")
    assert len(printed) == campaign.LOG
    # Where some of it could be trained, the slot goes on.
    monkeypatch.setattr(workers, "train", failing({name["fork"]}))
    assert main(run) == 1
    said = capsys.readouterr().out
    assert "stage 1: 2 branches done, 1 left" in said
    assert "stage 2: 2 branches done, 0 left" in said
    assert {path.name for path in out.iterdir()} == {"tiny-stage01.log", "tiny-stage01-1.tar", "tiny-stage02-1.tar"}
    assert log.read_text().startswith(f"--- {name['fork']}\n")
    # When all is well nothing tells of failures.
    monkeypatch.setattr(workers, "train", failing(set()))
    assert main(run) == 0
    assert not log.exists()


def test_what_is_begun_goes_by_the_speed_measured_in_the_slot(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, plan = planned()
    trunk, fork = (plan.branches[ids(plan)[run]] for run in ("trunk", "fork"))
    seen: list[float] = []

    def train(branches: Iterable[Branch], plan: Plan, config: Config, *rest: Any) -> list[str]:
        *_, watch = rest
        seen.append(watch.expected.branches[fork.id])
        in_this_process([trunk], plan, config, 1, [], watch)
        seen.append(watch.expected.branches[fork.id])
        manifest = read_json(Layout(config).branch(trunk.id).with_suffix(".json"))
        seen.append((fork.run.tokens(fork.last) - fork.run.tokens(fork.first)) / manifest["tokens_per_second"])
        return []

    work, out = away(home, tmp_path), tmp_path / "came"
    monkeypatch.setattr(workers, "train", train)
    assert stage(1, work, out) == 0
    stated, later, measured = seen
    assert stated != later
    assert later == pytest.approx(measured)


def test_results_are_divided_into_files_below_the_limit(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None, capsys: Any
) -> None:
    monkeypatch.setattr(campaign, "RESULT_LIMIT", 36_000)
    work, out = away(home, tmp_path), tmp_path / "came"
    assert stage(1, work, out) == 0
    files = sorted(out.iterdir())
    assert len(files) > 1
    assert all(file.stat().st_size < 36_000 for file in files)
    assert main(["campaign", "merge", *map(str, reversed(files))]) == 0
    assert "5 of 5 are done" in capsys.readouterr().out


def retrained(work: Path, name: str, out: Path, number: int) -> None:
    """Give a branch in a working folder other checkpoints, as a GPU would, and pack what started from it."""
    folder = work / "tiny-bundle/results/tiny/branches"
    manifest = read_json(folder / f"{name}.json")
    other = {step: digest[::-1] for step, digest in manifest["checkpoints"].items()}
    table = read_table(folder / f"{name}.parquet", BRANCH_SCHEMA)
    write_table(folder / f"{name}.parquet", table.assign(loss=table["loss"] + 1.0), BRANCH_SCHEMA)
    write_json(
        folder / f"{name}.json", {**manifest, "checkpoints": other, "sha256": sha256(folder / f"{name}.parquet")}
    )
    for path in folder.glob("*.json"):
        child = read_json(path)
        if child["started_from"]:
            child["started_from"]["sha256"] = other[str(child["started_from"]["step"])]
            write_json(path, child)
    shutil.rmtree(out, ignore_errors=True)
    assert stage(number, work, out) == 0


def test_curves_do_not_join_two_trainings_of_a_trunk(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None, capsys: Any
) -> None:
    config, plan = planned()
    name = ids(plan)
    minutes = two_stages(home, monkeypatch)
    work, out = away(home, tmp_path, minutes), tmp_path / "came"
    assert stage(1, work, out) == 0
    assert main(["campaign", "merge", str(out / "tiny-stage01-1.tar")]) == 0
    shutil.rmtree(work)
    away(home, tmp_path, minutes)
    assert stage(2, work, out) == 0
    retrained(work, name["trunk"], out, 2)
    capsys.readouterr()
    assert main(["campaign", "merge", str(out / "tiny-stage02-1.tar")]) == 0
    assert f"{name['late']} started from another training of its parent" in capsys.readouterr().out
    (other,) = Layout(config).instances(name["trunk"])
    ledger = campaign.ledger(config)
    assert ledger[name["late"]]["parent"] == other.stem
    assert ledger[name["fork"]]["parent"] == name["trunk"]
    runs = experiments.load(config).runs
    curves, _ = assemble([runs[run] for run in ("trunk", "fork", "late")], plan, Layout(config))
    loss = {run: rows.set_index(["validation", "step"])["loss"] for run, rows in curves.groupby("run")}
    common = loss["trunk"].index.intersection(loss["late"].index)
    common = common[common.get_level_values("step") <= 20]
    assert {step for _, step in common} == {1, 2, 4, 8, 12, 16, 20}
    np.testing.assert_array_equal(loss["late"][common], loss["trunk"][common] + 1.0)
    common = loss["fork"].index.intersection(loss["trunk"].index)
    common = common[common.get_level_values("step") <= 14]
    np.testing.assert_array_equal(loss["fork"][common], loss["trunk"][common])
    # A release says of every curve which trainings it has, and what each of them was made with.
    assert main(["release", "--out", "released"]) == 0
    manifest = read_json(other.with_suffix(".json"))
    assert read_json("released/instances.json") == {other.stem: manifest}
    assert {"numerics", "versions", "machine", "seed"} <= manifest.keys()
    stated = read_json("released/plan.json")["runs"]
    assert {run: known["instances"] for run, known in stated.items() if "instances" in known} == {
        "late": {name["trunk"]: other.stem}
    }
    assert "| `instances.json` |" in Path("released/README.md").read_text(encoding="utf-8")
    damaged = read_table(other, BRANCH_SCHEMA)
    whole = other.read_bytes()
    write_table(other, damaged.assign(loss=0.0), BRANCH_SCHEMA)
    assert main(["release", "--out", "released"]) == 2
    assert f"{other} is not what its manifest states" in capsys.readouterr().err
    other.write_bytes(whole)
    # Without the training that it started from, its curve is refused.
    for path in (other, other.with_suffix(".json")):
        path.unlink()
    with pytest.raises(UserError, match=f"did not start from the training of {name['trunk']} that is here"):
        assemble([runs["late"]], plan, Layout(config))


def test_manifests_state_the_checkpoints_from_which_branches_start(tiny: Config) -> None:
    _, plan = planned()
    fork = list(plan.branches.values())[1]
    training.train(plan.branches.values(), plan, tiny)
    of_trunk, of_fork = (read_json(Layout(tiny).branch(name).with_suffix(".json")) for name in plan.branches)
    folder = Layout(tiny).checkpoints
    written = {read_json(path)["step"]: path.with_name("state.safetensors") for path in folder.glob("*/*.json")}
    assert list(of_trunk["checkpoints"]) == ["6", "12", "14", "18", "24"]
    assert of_trunk["checkpoints"]["14"] == sha256(written[14])
    assert of_trunk["started_from"] is None
    assert of_fork["started_from"] == {"step": 14, "sha256": sha256(written[14])}
    # Killed after its first checkpoint, the fork still states what it began with.
    shutil.copy(Layout(tiny).branch(fork.id), "fork.parquet")
    for suffix in (".parquet", ".json"):
        Layout(tiny).branch(fork.id).with_suffix(suffix).unlink()
    later = next(path for path in folder.glob("*/*.json") if read_json(path)["step"] == 26)
    shutil.rmtree(later.parent)
    rows = read_table("fork.parquet", BRANCH_SCHEMA)
    kept = json.loads(rows[rows["step"] <= 18].to_json(orient="records", double_precision=15))
    recorded = {"upto": 18, "started_from": of_fork["started_from"], "rows": kept}
    write_json(folder / f"{fork.id}.rows.json", recorded)
    training.train([fork], plan, tiny)
    again = read_json(Layout(tiny).branch(fork.id).with_suffix(".json"))
    assert (again["started_from_step"], again["started_from"]) == (18, of_fork["started_from"])
    assert again["checkpoints"] == of_fork["checkpoints"]


# --- what is known only after fits ---------------------------------------------------------------------------------


def test_a_branch_of_several_plans_is_left_where_any_leaves_it(home: Path) -> None:
    config, plan = planned()
    runs = experiments.load(config).runs
    one, other = (experiments.plan([runs["trunk"], runs[run]], config) for run in ("fork", "late"))
    both = joined([one, other])
    name = ids(plan)
    assert list(both.branches) == [name["trunk"], name["fork"], name["late"]]
    assert both.branches[name["trunk"]].forks == (14, 20)
    assert both.chains == {run: plan.chains[run] for run in ("trunk", "fork", "late")}


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


def with_recommendations(home: Path) -> dict[str, float]:
    """A plan for a GPU that has the figure of recommendations; returns a value for each knob."""
    figures = {**FIGURES, "recommendations": {"title": "Tried", "runs": ["trunk", "fork"]}}
    (home / "config/experiments.yaml").write_text(yaml.safe_dump({"runs": RUNS, "figures": figures}, sort_keys=False))
    on_gpu = {**TINY, "device": {**TINY["device"], "name": "cuda"}}
    (home / "config/config.yaml").write_text(yaml.safe_dump(on_gpu, sort_keys=False))
    return {"peak_lr": 0.5, "replay": 0.25, "potential": 0.4}


def test_recommended_runs_are_stages_and_come_home_to_a_machine_without_a_gpu(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None, no_gpu: None, capsys: Any
) -> None:
    values = with_recommendations(home)
    work, out = away(home, tmp_path), tmp_path / "came"
    with monkeypatch.context() as there:
        there.setattr(device, "name_of", lambda _: "cpu")
        assert stage(1, work, out) == 0
    assert main(["campaign", "merge", *map(str, out.iterdir())]) == 0
    assert main(["campaign", "status"]) == 0
    assert "all stages are done" in capsys.readouterr().out
    recommend(values, trials.plan_path(planned()[0]))
    assert main(["campaign", "status"]) == 0
    assert "next: stage 2 (recommendations)" in capsys.readouterr().out
    assert main(["trial-runs", "--knob", "peak_lr"]) == 2
    assert "torch finds no CUDA GPU" in capsys.readouterr().err
    away(home, tmp_path)
    assert read_json(tmp_path / "parts/index.json")["archives"]["text"]
    with monkeypatch.context() as there:
        there.setattr(device, "name_of", lambda _: "cpu")
        assert main(["campaign", "run", "next", "--work", str(work), "--out", str(out)]) == 0
    assert main(["campaign", "merge", *map(str, out.iterdir())]) == 0
    assert main(["campaign", "status"]) == 0
    said = capsys.readouterr().out
    assert "all stages are done" in said
    branches = {path.stem: path.read_bytes() for path in Path("results/tiny/branches").glob("*.parquet")}
    assert {name.rpartition("-")[0] for name in branches if name.startswith("recommended")} == {
        recommendations.run_name(knob, value) for knob, value in values.items()
    }
    assert branches.keys() == campaign.ledger(planned()[0]).keys()
    for knob in values:
        assert main(["trial-runs", "--knob", knob]) == 0
        assert len(trials.read(planned()[0], knob))
    assert main(["release", "--out", "released"]) == 0
    assert {row["branch"] for row in read_json("released/ledger.json")["branches"]} == branches.keys()
    assert {path.stem: path.read_bytes() for path in Path("results/tiny/branches").glob("*.parquet")} == branches
    # Another plan of recommended runs does not take away what is known of those that are done.
    trials.plan_path(planned()[0]).unlink()
    assert main(["campaign", "merge", str(out / "tiny-stage01-1.tar")]) == 0
    assert campaign.ledger(planned()[0]).keys() == branches.keys()


def test_what_the_other_machine_lacks_is_said_before_it_trains(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_gpu: None, capsys: Any
) -> None:
    trained: list[str] = []

    def train(branches: Iterable[Branch], *_: Any) -> list[str]:
        trained.extend(branch.id for branch in branches)
        return []

    monkeypatch.setattr(workers, "train", train)
    with_recommendations(home)
    work, out = away(home, tmp_path), tmp_path / "came"
    capsys.readouterr()
    assert stage(1, work, out) == 2
    assert "torch finds no CUDA GPU here" in capsys.readouterr().err
    assert trained == []
    monkeypatch.setattr(device, "missing_for_compilation", lambda: "no C++ compiler is found")
    (home / "config/config.yaml").write_text(yaml.safe_dump({**TINY, "device": {"name": "cpu"}}, sort_keys=False))
    away(home, tmp_path)
    capsys.readouterr()
    assert stage(1, work, out) == 0
    assert "training runs eagerly, without torch.compile: no C++ compiler is found\n" in capsys.readouterr().out
    assert trained == list(planned()[1].branches)


@pytest.mark.slow
def test_the_workflow_trains_nothing_that_came_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None, no_gpu: None
) -> None:
    """Without a GPU, from a configuration that asks for one."""
    values = with_recommendations(home)
    for part in (
        "Snakefile",
        "workflow",
        "profiles",
        "paper",
        "data/published",
        "environment.yml",
        "config/claims.yaml",
    ):
        source, target = REPOSITORY / part, home / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    made = snakemake(home, "data")
    assert made.returncode == 0, made.stderr[-3000:]
    recommend(values, trials.plan_path(planned()[0]))
    work, out = away(home, tmp_path), tmp_path / "came"
    monkeypatch.setattr(device, "name_of", lambda _: "cpu")
    assert stage(1, work, out) == 0
    assert main(["campaign", "merge", *map(str, out.iterdir())]) == 0
    trials.plan_path(planned()[0]).touch()  # in place of the rule that makes it, which needs more runs than these
    before = {path: path.read_bytes() for path in (home / "results/tiny/branches").iterdir()}
    done = snakemake(home, "runs", *(f"results/tiny/recommended/{knob}.parquet" for knob in values))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rule train:" not in done.stderr
    assert {path: path.read_bytes() for path in (home / "results/tiny/branches").iterdir()} == before
    assert idle(snakemake(home, "-n", "runs"))


# --- killed --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_is_killed_while_it_packs_leaves_what_was_packed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    work, out = away(home, tmp_path), tmp_path / "came"
    assert stage(1, work, tmp_path / "elsewhere") == 0
    monkeypatch.chdir(work / "tiny-bundle")
    config, plan = planned()
    (whole,) = campaign.packed(plan, config)
    out.mkdir()
    campaign._pack_results(out, whole, list(plan.branches)[:2], plan, config)
    for moment in range(100):
        child = os.fork()
        if not child:
            kill_at(moment)
            campaign._pack_results(out, whole, plan.branches, plan, config)
            os._exit(0)
        _, code = os.waitpid(child, 0)
        if not code:
            break
        assert os.WTERMSIG(code) == signal.SIGKILL
        assert len(read_tar(out)) in (2, 5)
    assert moment > 10
    assert read_tar(out) == set(plan.branches)
    assert stage(1, work, out) == 0
    assert [path.name for path in out.iterdir()] == ["tiny-stage01-1.tar"]


def kill_at(moment: int) -> None:
    """Let this process be killed when it writes, syncs or renames for the n-th time from now."""
    left = itertools.count(moment, -1)

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return wrapped

    for where, name in ((tarfile.TarFile, "addfile"), (os, "fsync"), (os, "replace")):
        setattr(where, name, deadly(getattr(where, name)))


def test_a_full_disk_is_one_line_and_loses_nothing_that_is_packed(
    home: Path,
    tmp_path: Path,
    small_disk: Path,
    quick: None,
    capsys: Any,
) -> None:
    work, out = away(home, tmp_path), small_disk / "came"
    assert stage(1, work, out, "--minutes", "0.1") == 0
    (before,) = (path.read_bytes() for path in out.iterdir())
    room = shutil.disk_usage(small_disk).free
    (small_disk / "other").write_bytes(b"x" * (room - 4096))
    capsys.readouterr()
    assert stage(1, work, out) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: no space left for {out}")
    assert said.count("\n") == 1
    (path,) = out.iterdir()
    assert path.read_bytes() == before
    (small_disk / "other").unlink()
    assert stage(1, work, out) == 0
    assert len(read_tar(out)) == 5
    capsys.readouterr()  # a slow machine trains only now
    # Cut short on its way home, at any byte.
    whole = path.read_bytes()
    for size in (0, 1, 511, 512, 5000, len(whole) // 2, len(whole) - 12000):
        path.write_bytes(whole[:size])
        assert main(["campaign", "merge", str(path)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: {path} ")
        assert said.count("\n") == 1
        assert not list((home / "results/tiny/branches").glob("*.parquet"))


@pytest.mark.slow
def test_a_killed_stage_loses_what_was_in_flight_and_nothing_else(home: Path, tmp_path: Path) -> None:
    """With real processes, two at a time, killed at some moments: between a start and an end, and as a branch ends."""
    long = {"lengths": {**TINY["lengths"], "continual": 600}}
    (home / "config/config.yaml").write_text(yaml.safe_dump({**TINY, **long}, sort_keys=False))
    config, plan = planned()
    work, out = away(home, tmp_path), tmp_path / "came"
    command = [sys.executable, "-m", "cpt_dynamics", "campaign", "run", "1", "--work", str(work), "--out", str(out)]
    chance = random.Random(0)
    branches = work / "tiny-bundle/results/tiny/branches"
    checkpoints = work / "tiny-bundle/results/tiny/checkpoints"
    steps: set[int] = set()
    for at in ("checkpoint", "branch", "checkpoint"):
        before = {path.stem for path in branches.glob("*.json")}
        watched = branches.glob if at == "branch" else checkpoints.rglob
        known = set(watched("*.json"))
        process = subprocess.Popen([*command, "--processes", "2"], start_new_session=True, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while set(watched("*.json")) <= known:
            if process.poll() is not None:
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.2))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        ended = {path.stem for path in branches.glob("*.json")}
        assert read_tar(out) >= before  # what had ended before is packed
        assert ended >= before
        for name in ended:  # whole, each of them
            read_table(branches / f"{name}.parquet", BRANCH_SCHEMA)
        reached = {read_json(path)["step"] for path in checkpoints.rglob("*.json") if "step" in read_json(path)}
        assert reached >= steps  # nothing that was written is lost
        steps = reached
    assert subprocess.run([*command, "--processes", "2"], check=False).returncode == 0
    assert main(["campaign", "merge", *map(str, out.glob("*.tar"))]) == 0
    there = {name: read_table(Layout(config).branch(name), BRANCH_SCHEMA) for name in plan.branches}
    shutil.rmtree(home / "results/tiny/branches")
    training.train(plan.branches.values(), plan, config)
    for name, table in there.items():
        pd.testing.assert_frame_equal(read_table(Layout(config).branch(name), BRANCH_SCHEMA), table, check_exact=True)


def read_tar(folder: Path) -> set[str]:
    """Branches in all files of results of a folder, each of which is whole."""
    found: set[str] = set()
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            first = tar.next()
            assert first is not None
            found |= set(json.load(tar.extractfile(first))["branches"])  # type: ignore[arg-type]
    return found


# --- the scale `gpu` ---------------------------------------------------------------------------------------------

TOKENS = {"enwiki2015": 60_381_121, "plantsci": 25_373_783, "pypi_code": 24_360_706}  # of training text, as counted
SIZES = {"small": 5e6, "medium": 20e6, "large": 60e6}


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.delenv("CPT_DYNAMICS_TEXTS", raising=False)
    return configuration.load([GPU])


def test_sizes_of_the_gpu_scale(gpu: Config) -> None:
    assert list(gpu.models) == list(SIZES)
    for name, model in gpu.models.items():
        assert isinstance(model, Model)
        assert estimates.non_embedding_parameters(model) == pytest.approx(SIZES[name], rel=0.06)
        assert model.width == 64 * model.heads
    assert gpu.batch.sequences * gpu.batch.length == 32_768
    total = gpu.lengths.pretraining + gpu.lengths.continual
    assert gpu.lengths.pretraining == 2 * gpu.lengths.continual
    assert gpu.law.lambda_ == pytest.approx(1 - 60 / total, abs=1e-4)
    default = configuration.load([])
    assert not set(default.corpora) & set(gpu.corpora)
    assert list(gpu.models) == list(default.models)
    assert gpu.experiments == default.experiments
    assert "canada_law" in set(gpu.corpora) - set(gpu.validations())


def test_no_run_of_the_gpu_scale_reads_a_corpus_more_than_four_times(gpu: Config) -> None:
    for run in experiments.load(gpu).runs.values():
        for use in estimates.corpora([run], gpu):
            if use.tokens and not run.name.startswith("scratch"):
                assert use.tokens < 4 * TOKENS[use.name], (run.name, use.name)


def test_every_text_of_the_gpu_scale_is_named_with_its_licence(gpu: Config) -> None:
    page = (REPOSITORY / "docs/gpu-scale.md").read_text()
    for name, spec in gpu.corpora.items():
        assert isinstance(spec, Local)
        assert spec.licence != "not stated"
        assert all(path.startswith("${CPT_DYNAMICS_TEXTS}/") for path in [*spec.paths, *spec.validation])
        assert f"`{name}`" in page
        if "github.com/" in spec.description:
            repository, commit = spec.description.partition("github.com/")[2].split(" at ")
            assert f"{repository}" in page
            assert commit in page


def test_the_gpu_scale_is_planned_without_its_text(
    gpu: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert main(["plan", "--configfile", GPU]) == 0
    assert "92 runs" in capsys.readouterr().out
    assert main(["campaign", "plan", "--configfile", GPU]) == 0
    assert "stages" in capsys.readouterr().out
    (tmp_path / "elsewhere.yaml").write_text(f"data: {tmp_path / 'data'}\nresults: {tmp_path / 'results'}\n")
    files = ["--configfile", GPU, str(tmp_path / "elsewhere.yaml")]
    monkeypatch.setenv("CPT_DYNAMICS_CACHE", str(tmp_path / "cache"))
    assert main(["documents", "enwiki2015", *files]) == 2  # from its public home, which may not be asked here
    said = capsys.readouterr().err
    assert "wikiVisual.git at 1c0fac92f29f is not in the cache" in said
    assert said.count("\n") == 1
    monkeypatch.setenv("CPT_DYNAMICS_TEXTS", str(tmp_path / "texts"))
    (tmp_path / "texts").mkdir()
    for part in ("train-1", "train-2", "val"):
        lines = "".join(json.dumps({"text": f"{word} {part}", "src": "made up"}) + "\n" for word in WORDS)
        path = tmp_path / f"texts/enwiki2015.{part}.jsonl.zst"
        path.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(lines.encode()))
    assert main(["documents", "enwiki2015", *files]) == 0
    assert main(["split", "enwiki2015", *files]) == 0
    counts = read_json(tmp_path / "results/gpu/text/enwiki2015/split.json")
    distinct = len(set(WORDS))
    assert counts["validation"]["documents"] == distinct
    assert counts["train"]["documents"] == 2 * distinct


@pytest.mark.slow
def test_a_dry_run_of_released_curves_needs_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CPT_DYNAMICS_TEXTS", raising=False)
    folder = tmp_path / "clone"
    copy_parts(folder)
    done = snakemake(folder, "-n", "--configfile", GPU, "--config", "curves=released")
    assert "CPT_DYNAMICS_TEXTS" not in done.stdout + done.stderr
    assert "there are no released curves of this scale" in done.stderr + done.stdout
