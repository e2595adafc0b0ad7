"""A plan trained by several processes: the order, the same losses, and what failures and signals do."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from worlds.processes import processes_of, wait
from worlds.tiny import CONSTANT, EXPERIMENTS

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Plan
from cpt_dynamics.files import read_json, read_table
from cpt_dynamics.layout import BRANCH_SCHEMA, Layout
from cpt_dynamics.training import branch as training
from cpt_dynamics.training import workers

TRAIN = [sys.executable, "-m", "cpt_dynamics", "train", "--plan", "--processes", "2"]


def continual(after: str, data: str, steps: int = 12, at: int | None = None, **schedule: Any) -> dict[str, Any]:
    phase = {"phase": "continual", "data": {data: 1}, "steps": steps, "schedule": {**CONSTANT, **schedule}}
    return {"after": after, **({"at": at} if at else {}), "phases": [phase]}


TREE = {
    "trunk": EXPERIMENTS["runs"]["trunk"],
    "short": continual("trunk", "weak", at=14, steps=6),
    "long": continual("trunk", "strong", at=14, steps=8),
    "further": continual("long", "weak", steps=8),
    "aside": continual("trunk", "strong", at=18),
}
HOT = {**TREE, "long": continual("trunk", "strong", at=14, steps=8, peak=1e6)}


def planned(runs: dict[str, Any], world: Path) -> tuple[Config, Plan]:
    entries = {"runs": runs, "figures": {"fig02": {"title": "Shift", "runs": list(runs)}}}
    (world / "config/experiments.yaml").write_text(yaml.safe_dump(entries, sort_keys=False))
    config = configuration.load([])
    return config, experiments.plan(experiments.load(config).runs.values(), config)


def ids(plan: Plan) -> dict[str, str]:
    """Run -> the branch that ends it."""
    return {run: chain[-1][0] for run, chain in plan.chains.items()}


def losses(branch: str, config: Config) -> pd.DataFrame:
    return read_table(Layout(config).branch(branch), BRANCH_SCHEMA)


# --- the order ---------------------------------------------------------------------------------------------------


class Instant:
    """A worker that is done at once."""

    def __init__(self, order: list[str], failing: str | None = None) -> None:
        self.order, self.failing = order, failing
        self.connection, self.answers = multiprocessing.Pipe()
        self.branch: str | None = None
        self.seconds = 0.0

    def start(self, branch: str) -> None:
        self.order.append(branch)
        self.branch = branch
        self.answers.send("it broke" if branch == self.failing else None)

    def result(self) -> tuple[str, str | None]:
        assert self.branch is not None
        branch, self.branch = self.branch, None
        return branch, self.connection.recv()


def run(
    plan: Plan, config: Config, count: int, failing: str | None = None, in_order: bool = False
) -> tuple[list[str], list[str]]:
    """Branches in the order in which they were started, and the failures."""
    order: list[str] = []
    schedule = workers._Schedule(dict(plan.branches), plan, Layout(config), in_order=in_order)
    failures = schedule.run([Instant(order, failing) for _ in range(count)])  # type: ignore[misc]
    return order, failures


def test_parents_come_first_and_the_longest_way_before_others(world: Path) -> None:
    config, plan = planned(TREE, world)
    of = ids(plan)
    assert plan.steps_below(of["trunk"]) == 24 + 8 + 8
    order, failures = run(plan, config, 1)
    assert [of[name] for name in ("trunk", "long", "aside", "further", "short")] == order
    assert failures == []


def test_in_order_the_first_that_can_start_comes_first(world: Path) -> None:
    config, plan = planned(TREE, world)
    of = ids(plan)
    order, failures = run(plan, config, 1, in_order=True)
    assert [of[name] for name in TREE] == order
    assert failures == []


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_failure_keeps_back_only_what_starts_from_it(world: Path, count: int) -> None:
    config, plan = planned(TREE, world)
    of = ids(plan)
    order, failures = run(plan, config, count, failing=of["long"])
    assert set(order) == {of[name] for name in ("trunk", "short", "long", "aside")}
    log = f"results/tiny/logs/train/{of['long']}.log"
    assert failures == [
        f"{of['long']}: it broke ({log})",
        f"{of['further']}: not trained, since {of['long']} is not",
    ]
    everything, left = run(plan, config, count, failing=of["trunk"])
    assert (everything, len(left)) == ([of["trunk"]], 5)


def test_gpus_are_those_that_the_process_may_use(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    config, _ = planned(TREE, world)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert workers.gpus(config) == []  # device.name is cpu
    anywhere = config.model_copy(update={"device": config.device.model_copy(update={"name": "auto"})})
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert workers.gpus(anywhere) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,MIG-7")
    assert workers.gpus(anywhere) == ["5", "MIG-7"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--plan", "--processes", "0"], "--processes is 0: give 1 or more"),
        (["--branch", "trunk", "--processes", "2"], "--processes goes with --plan"),
    ],
)
def test_wrong_options_are_one_line(
    world: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["train", *options]) == 2
    assert said in capsys.readouterr().err


# --- processes ---------------------------------------------------------------------------------------------------


def elsewhere(config: Config, folder: str) -> Config:
    """The same configuration with results of its own, and the text of the other."""
    other = config.model_copy(update={"results": folder})
    shutil.copytree(Layout(config).root / "tokens", Layout(other).root / "tokens")
    shutil.copy(Layout(config).tokenizer, Layout(other).tokenizer)
    return other


def test_two_processes_give_the_losses_of_one_and_go_on_after_a_failure(
    tiny: Config, world: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config, plan = planned(HOT, world)
    of = ids(plan)
    assert main(["train", "--plan", "--processes", "2"]) == 1
    printed, said = capfd.readouterr()
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2, said
    assert errors[0].startswith(f"error: {of['long']}: ")
    assert "not finite at step" in errors[0]
    assert errors[1] == f"error: {of['further']}: not trained, since {of['long']} is not"
    assert f"{of['trunk']}: done (1 of 5" in printed
    one = elsewhere(config, "one")
    good = [branch for name, branch in plan.branches.items() if name not in (of["long"], of["further"])]
    training.train(good, plan, one)
    assert len(good) == 3
    for branch in good:
        pd.testing.assert_frame_equal(losses(branch.id, config), losses(branch.id, one), check_exact=True)
    assert not Layout(config).branch(of["long"]).exists()
    log = (Layout(config).root / f"logs/train/{of['long']}.log").read_text()
    assert "error: " in log  # with the progress, and nothing of it on the terminal
    assert "step/s" not in said


@pytest.mark.slow
def test_each_process_sees_its_device_before_torch_is_imported(
    tiny: Config, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world / "hook").mkdir()
    (world / "hook/sitecustomize.py").write_text(
        """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            with open("seen.txt", "a") as file:
                file.write(os.environ.get("CUDA_VISIBLE_DEVICES", "none") + "\\n")

sys.meta_path.insert(0, Watch())
"""
    )
    monkeypatch.setenv("PYTHONPATH", str(world / "hook"))
    config, plan = planned(TREE, world)
    assert workers.train(plan.branches.values(), plan, config, 3, ["4", "7"]) == []
    seen = (world / "seen.txt").read_text().split()
    assert sorted(seen) == ["4", "4", "7"][: len(seen)]
    assert "7" in seen


def ends_after_an_order(orders: Any, *_: Any) -> None:
    """In place of a worker that met an error after which it cannot go on: it waits for ever to be gone."""
    name = orders.recv()
    orders.send((f"{name}: process {os.getpid()}", True))
    time.sleep(10**6)


def test_what_comes_after_an_error_that_ends_a_worker_has_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_work", ends_after_an_order)
    worker = workers._Worker(None, None, None)  # type: ignore[arg-type]
    answers = []
    for branch in ("first", "second"):
        worker.start(branch)
        assert worker.connection.poll(60)
        answers.append(worker.result())
    assert [name for name, _ in answers] == ["first", "second"]
    said = [str(error).split(": process ") for _, error in answers]
    assert [name for name, _ in said] == ["first", "second"]  # no order was lost
    assert said[0][1] != said[1][1]


def test_only_a_mistake_that_the_kit_found_lets_a_worker_live(capsys: pytest.CaptureFixture[str]) -> None:
    def raising(error: Exception | None) -> None:
        if error:
            raise error

    assert workers._caught(raising, None) == (None, False)
    assert workers._caught(raising, UserError("the loss is not finite")) == ("the loss is not finite", False)
    broken = workers._caught(raising, RuntimeError("CUDA error: an illegal memory access\nwas encountered"))
    assert broken == ("RuntimeError: CUDA error: an illegal memory access was encountered", True)
    assert "Traceback" in capsys.readouterr().err
    said, _ = workers._caught(
        raising, RuntimeError(f"in a subprocess: {'at some line, ' * 99}no such file as Python.h")
    )
    assert said is not None
    assert said.startswith("RuntimeError: in a subprocess: at some line")
    assert said.endswith("at some line, no such file as Python.h")
    assert len(said) < 450


# --- killed ------------------------------------------------------------------------------------------------------

LONG = {
    "trunk": EXPERIMENTS["runs"]["trunk"],
    "left": continual("trunk", "strong", at=14, steps=400),
    "right": continual("trunk", "weak", at=14, steps=400),
}


def start(world: Path) -> tuple[Config, Plan, subprocess.Popen[str]]:
    """A run that is in the middle of two branches."""
    config, plan = planned(LONG, world)
    process = subprocess.Popen(TRAIN, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    kept = [Layout(config).checkpoints / f"{ids(plan)[name]}.rows.json" for name in ("left", "right")]
    wait(lambda: all(path.exists() and read_json(path)["upto"] > 20 for path in kept) or process.poll() is not None)
    assert process.poll() is None
    return config, plan, process


def finish(config: Config, plan: Plan) -> None:
    """Run again to the end, and compare with what is trained without a break."""
    done = subprocess.run(TRAIN, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    one = elsewhere(config, "one")
    training.train(plan.branches.values(), plan, one)
    for name in plan.branches:
        pd.testing.assert_frame_equal(losses(name, config), losses(name, one), check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_stopped_run_leaves_no_process_and_goes_on(tiny: Config, world: Path, number: int, code: int) -> None:
    config, plan, process = start(world)
    assert len([line for line in processes_of(process.pid).values() if "spawn_main" in line]) == 2
    # Ctrl-C in a terminal reaches every process.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    assert process.wait(60) == code
    wait(lambda: not processes_of(process.pid), 10)
    if number != signal.SIGKILL:
        assert not [path for path in Layout(config).root.rglob(".*") if path.is_dir()]  # half-written files
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    of = ids(plan)
    assert not Layout(config).branch(of["left"]).exists()
    finish(config, plan)
    manifests = [read_json(Layout(config).branch(of[name]).with_suffix(".json")) for name in ("left", "right")]
    assert min(manifest["started_from_step"] for manifest in manifests) > 14


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_its_branch_and_no_other(tiny: Config, world: Path) -> None:
    config, plan, process = start(world)
    victim = next(pid for pid, line in processes_of(process.pid).items() if "spawn_main" in line)
    os.kill(victim, signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    (error,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "its process was killed (SIGKILL" in error
    done = [name for name in ("left", "right") if Layout(config).branch(ids(plan)[name]).exists()]
    assert len(done) == 1
    finish(config, plan)
