"""Sharing and resuming change nothing: losses and weights agree bit for bit."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from safetensors.torch import load_file
from worlds.tiny import CONSTANT, EXPERIMENTS, TINY
from worlds.training import elsewhere, losses, planned

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Plan, Run
from cpt_dynamics.files import read_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.training import branch as training
from cpt_dynamics.training import device
from cpt_dynamics.training.checkpoints import Store


def weights(config: Config, plan: Plan, run: Run, step: int) -> dict[str, Any]:
    trainer = training.open_trainer(plan, config)
    return load_file(trainer.store.path(trainer.key(run, step)) / "state.safetensors")


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(bool((a[name] == b[name]).all()) for name in a)


def test_a_shared_run_is_bitwise_the_unshared_one(tiny: Config) -> None:
    runs, plan = planned(tiny)
    assert plan.steps_trained == 24 + 12  # fork leaves trunk after step 14 of 24
    training.train(plan.branches.values(), plan, tiny)
    manifests = [read_json(Layout(tiny).branch(b).with_suffix(".json")) for b in plan.branches]
    assert [m["started_from_step"] for m in manifests] == [0, 14]
    alone = elsewhere(tiny, "alone")
    single, unshared = planned(alone, only=["fork"])
    assert [b.parent for b in unshared.branches.values()] == [None]
    training.train(unshared.branches.values(), unshared, alone)
    pd.testing.assert_frame_equal(
        _common(losses(tiny, plan, runs["fork"]), 14),
        _common(losses(alone, unshared, single["fork"]), 14),
        check_exact=True,
    )
    assert same(weights(tiny, plan, runs["fork"], 26), weights(alone, unshared, single["fork"], 26))


def test_a_branch_cut_between_its_losses_and_its_first_checkpoint_measures_nothing_twice(
    tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, plan = planned(tiny)
    trunk, fork = plan.branches.values()
    training.train([trunk], plan, tiny)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", cut)
        with pytest.raises(KeyboardInterrupt):
            training.train([fork], plan, tiny)
    training.train([fork], plan, tiny)
    rows = pd.read_parquet(Layout(tiny).branch(fork.id))
    assert rows["step"].min() == fork.first
    assert not rows.duplicated(["step", "validation"]).any()


@pytest.mark.slow
def test_sharing_is_exact_when_compiled_in_processes_of_their_own(tiny: Config, world: Path) -> None:
    """Each branch in its own process, cold and warm cache, against the unshared run in one."""
    if missing := device.missing_for_compilation():
        pytest.skip(missing)
    compiled = {**TINY, "device": {**TINY["device"], "compile": "on"}}
    (world / "config/config.yaml").write_text(yaml.safe_dump(compiled, sort_keys=False))
    config = configuration.load([])
    runs, plan = planned(config)
    command = [sys.executable, "-m", "cpt_dynamics", "train"]
    for branch in plan.branches:
        subprocess.run([*command, "--branch", branch], check=True, stderr=subprocess.DEVNULL)
    assert any(Layout(config).compiled.iterdir())  # where the next process finds it
    alone = elsewhere(config, "alone")
    experiment = {**EXPERIMENTS, "runs": {"fork": {"phases": _spelled_out()}}, "figures": {}}
    (world / "config/alone.yaml").write_text(yaml.safe_dump(experiment, sort_keys=False))
    (world / "alone.yaml").write_text("{results: alone, experiments: config/alone.yaml}")
    single, unshared = planned(configuration.load(["alone.yaml"]))
    only = next(iter(unshared.branches))
    subprocess.run([*command, "--branch", only, "--configfile", "alone.yaml"], check=True, stderr=subprocess.DEVNULL)
    pd.testing.assert_frame_equal(
        _common(losses(config, plan, runs["fork"]), 14),
        _common(losses(alone, unshared, single["fork"]), 14),
        check_exact=True,
    )
    assert same(weights(config, plan, runs["fork"], 26), weights(alone, unshared, single["fork"], 26))


def _spelled_out() -> list[dict[str, Any]]:
    """The phases of `fork` without a reference to the run that it leaves."""
    trunk, fork = EXPERIMENTS["runs"]["trunk"]["phases"][0], EXPERIMENTS["runs"]["fork"]["phases"][0]
    return [{**trunk, "steps": 14}, fork]


def _common(table: pd.DataFrame, fork: int) -> pd.DataFrame:
    """Without the step of the fork, the last of a phase in one run and an ordinary one in the other."""
    return table[(table["step"] % 4 == 0) | (table["step"] >= fork)].reset_index(drop=True)


def test_a_fork_inside_a_finished_branch_starts_from_the_nearest_checkpoint(tiny: Config, world: Path) -> None:
    runs, plan = planned(tiny)
    training.train(plan.branches.values(), plan, tiny)
    before = losses(tiny, plan, runs["trunk"])
    later = {
        **EXPERIMENTS,
        "runs": {
            **EXPERIMENTS["runs"],
            "late": {
                "after": "trunk",
                "at": 21,
                "phases": [
                    {"phase": "continual", "data": {"strong": 0.5, "general": 0.5}, "steps": 5, "schedule": CONSTANT}
                ],
            },
        },
    }
    (world / "config/experiments.yaml").write_text(yaml.safe_dump(later, sort_keys=False))
    runs, grown = planned(tiny)
    assert set(plan.branches) < set(grown.branches)  # nothing that is done is renamed
    training.train(grown.branches.values(), grown, tiny, skip_done=True)
    late = next(b for b in grown.branches.values() if b.run.name == "late")
    manifest = read_json(Layout(tiny).branch(late.id).with_suffix(".json"))
    assert manifest["started_from_step"] == 18
    alone = elsewhere(tiny, "alone")
    single, unshared = planned(alone, only=["late"])
    training.train(unshared.branches.values(), unshared, alone)
    assert same(weights(tiny, grown, runs["late"], 26), weights(alone, unshared, single["late"], 26))
    pd.testing.assert_frame_equal(before, losses(tiny, grown, runs["trunk"]), check_exact=True)


@pytest.mark.parametrize("chance", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_branch_resumes_exactly(tiny: Config, world: Path, chance: int) -> None:
    """SIGKILL at random moments, then again until the branch is whole."""
    longer = {"lengths": {"pretraining": 400}, "checkpoint_every": 20, "results": "killed"}
    (world / "killed.yaml").write_text(yaml.safe_dump(longer))
    config = configuration.load(["killed.yaml"])
    runs, plan = planned(config, only=["trunk"])
    elsewhere(tiny, "killed")
    branch = next(iter(plan.branches.values()))
    rng = random.Random(chance)
    command = [sys.executable, "-m", "cpt_dynamics", "train", "--configfile", "killed.yaml", "--branch", branch.id]
    kills, whole_ones = 0, "[0-9a-f]*/checkpoint.json"  # neither locks nor what is being written
    for _ in range(3):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        seen = len(list(Layout(config).checkpoints.glob(whole_ones)))
        while process.poll() is None and len(list(Layout(config).checkpoints.glob(whole_ones))) <= seen + 1:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.3))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills, "the branch ended before it could be killed"
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
    manifest = read_json(Layout(config).branch(branch.id).with_suffix(".json"))
    assert manifest["started_from_step"] > 0
    whole = elsewhere(config, "whole")
    single, unshared = planned(whole, only=["trunk"])
    training.train(unshared.branches.values(), unshared, whole)
    pd.testing.assert_frame_equal(
        losses(config, plan, runs["trunk"]), losses(whole, unshared, single["trunk"]), check_exact=True
    )
    assert same(weights(config, plan, runs["trunk"], 400), weights(whole, unshared, single["trunk"], 400))


def test_a_replay_of_everything_is_pre_training_that_goes_on(tiny: Config) -> None:
    runs, plan = planned(tiny, only=["trunk"])
    trainer = training.open_trainer(plan, tiny)
    longer = replace(runs["trunk"], name="longer", phases=(*runs["trunk"].phases, runs["trunk"].phases[0]))
    assert (trainer._batch(longer, 30) == trainer._batch(longer, 30)).all()
    assert experiments.branches.data_stretches(longer, 30) == [(30, runs["trunk"].phases[0].data)]


def test_a_loss_that_is_not_finite_stops_the_branch(tiny: Config) -> None:
    hot = tiny.model_copy(update={"optimizer": tiny.optimizer.model_copy(update={"peak_lr": 1e30})})
    _, plan = planned(hot, only=["trunk"])
    with pytest.raises(UserError, match=r"not finite at step \d+.*lower optimizer.peak_lr"):
        training.train(plan.branches.values(), plan, hot)
    assert not list((Layout(hot).root / "branches").glob("*.parquet"))


def test_a_checkpoint_of_another_configuration_is_refused(tiny: Config) -> None:
    runs, plan = planned(tiny)
    trunk, fork = plan.branches.values()
    training.train([trunk], plan, tiny)
    trainer = training.open_trainer(plan, tiny)
    store, run = trainer.store, runs["fork"]
    shutil.rmtree(store.path(trainer.key(run, 14)))
    shutil.copytree(store.path(trainer.key(run, 12)), store.path(trainer.key(run, 14)))
    with pytest.raises(UserError, match="checkpoint of another configuration"):
        training.train([fork], plan, tiny)
    assert not Layout(tiny).branch(fork.id).exists()


def test_a_gpu_that_is_not_there_is_said(tiny: Config, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    (world / "gpu.yaml").write_text("device: {name: cuda}\n")
    _, plan = planned(configuration.load(["gpu.yaml"]))
    assert main(["train", "--configfile", "gpu.yaml", "--branch", next(iter(plan.branches))]) == 2
    assert "torch finds no CUDA GPU" in capsys.readouterr().err


def test_an_exported_model_gives_the_measured_loss(tiny: Config) -> None:
    from transformers import AutoModelForCausalLM, LlamaForCausalLM

    runs, plan = planned(tiny, only=["trunk"])
    training.train(plan.branches.values(), plan, tiny)
    assert main(["export", "trunk", "exported"]) == 0
    model = AutoModelForCausalLM.from_pretrained("exported")
    assert isinstance(model, LlamaForCausalLM)
    trainer = training.open_trainer(plan, tiny)
    from cpt_dynamics.training.evaluation import evaluate
    from cpt_dynamics.training.model import TokenLoss

    found = dict(zip(trainer.sets, evaluate(TokenLoss(model, "float32"), list(trainer.sets.values())), strict=True))
    table = losses(tiny, plan, runs["trunk"])
    measured = table[(table["step"] == 24) & (table["validation"] == "prose")]["loss"].item()
    assert found["prose"].item() == pytest.approx(measured, abs=1e-6)
