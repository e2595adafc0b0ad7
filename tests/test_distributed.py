"""Several processes and micro-batches train as one process with whole batches does, up to rounding."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import psutil  # type: ignore[import-untyped]
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import nn
from worlds.tiny import CONSTANT, EXPERIMENTS
from worlds.training import elsewhere, losses, planned

from cpt_dynamics import config as configuration
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config, Device
from cpt_dynamics.experiments import Plan
from cpt_dynamics.files import read_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.training import branch as training
from cpt_dynamics.training import device, distributed
from cpt_dynamics.training.evaluation import evaluate
from cpt_dynamics.training.model import TokenLoss, adamw, initial

ROUNDING = 1e-5  # largest relative difference of a loss; 1.2e-6 was seen
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def variant(tiny: Config, name: str, **changes: Any) -> Config:
    """The tiny scale with other settings, results of its own and the same text, stated in `<name>.yaml`."""
    Path(f"{name}.yaml").write_text(yaml.safe_dump({"results": name, **changes}), encoding="utf-8")
    elsewhere(tiny, name)
    return configuration.load([f"{name}.yaml"])


def torchrun(name: str, *program: str) -> subprocess.CompletedProcess[str]:
    command = [*TORCHRUN, *(program or ("-m", "cpt_dynamics")), "train", "--plan", "--configfile", f"{name}.yaml"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def errors(text: str) -> list[str]:
    """What the kit said went wrong; a progress bar may stand in the same line."""
    return [line[line.index("error: ") :] for line in text.splitlines() if "error: " in line]


def alike(one: Config, other: Config) -> None:
    """Both configurations have trained all runs, with the same losses up to rounding."""
    runs, plan = planned(one)
    _, same_plan = planned(other)
    for run in runs.values():
        pd.testing.assert_frame_equal(
            losses(one, plan, run), losses(other, same_plan, run), check_exact=False, rtol=ROUNDING, atol=0
        )


def train(config: Config) -> Plan:
    _, plan = planned(config)
    training.train(plan.branches.values(), plan, config)
    return plan


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"micro_batch": 1}, id="replicas"),
        pytest.param({"sharding": "full"}, id="shards", marks=pytest.mark.slow),
        pytest.param({"sharding": "full", "micro_batch": 1}, id="shards and micro-batches", marks=pytest.mark.slow),
    ],
)
def test_two_processes_train_as_one(tiny: Config, settings: dict[str, Any]) -> None:
    train(tiny)
    two = variant(tiny, "two", device={"processes": 2, **settings})
    done = torchrun("two")
    assert done.returncode == 0, done.stderr
    alike(tiny, two)
    runs, plan = planned(two)
    manifest = read_json(Layout(two).branch(next(iter(plan.branches))).with_suffix(".json"))
    assert {"processes": 2, **settings}.items() <= manifest["numerics"].items()
    # The checkpoint is whole: a process on its own loads it, and its tensors are those of the other run's.
    trainer, run = training.open_trainer(plan, two), runs["trunk"]
    model = initial(two, run, trainer.vocabulary)
    optimizer = adamw(model, two.optimizer)
    assert trainer.store.load(trainer.key(run, 24), model, optimizer) == 24
    losses_of = evaluate(TokenLoss(model, "float32"), list(trainer.sets.values()))
    found = dict(zip(trainer.sets, losses_of.tolist(), strict=True))
    table = losses(two, plan, run)
    last = table[table["step"] == 24].set_index("validation")["loss"].to_dict()
    assert found == pytest.approx(last, rel=ROUNDING)
    plain = training.open_trainer(planned(tiny)[1], tiny)
    state, expected = (load_file(t.store.path(t.key(run, 24)) / "state.safetensors") for t in (trainer, plain))
    assert {name: value.shape for name, value in state.items()} == {n: v.shape for n, v in expected.items()}
    assert all(torch.allclose(state[name], expected[name], rtol=1e-2, atol=1e-4) for name in state)


@pytest.mark.parametrize("size", [1, 3])
def test_micro_batches_add_up_to_the_batch(tiny: Config, size: int) -> None:
    train(tiny)
    small = variant(tiny, "small", device={"micro_batch": size})
    train(small)
    alike(tiny, small)


def test_micro_batches_weigh_by_their_rows() -> None:
    rows = torch.arange(8.0)
    parts = distributed.micro_batches(rows, 3)
    assert [len(part) for part, _ in parts] == [3, 3, 2]
    assert sum(float(part.mean()) * weight for part, weight in parts) == pytest.approx(3.5)
    assert distributed.micro_batches(rows, None) == [(rows, 1.0)]


def test_processes_take_rows_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, taken = torch.arange(6), []
    monkeypatch.setattr(distributed, "world", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        taken.append(distributed.share(rows).tolist())
    assert taken == [[0, 1], [2, 3], [4, 5]]


def test_large_models_are_sharded(monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.Linear(10, 10, bias=False)  # 1,600 bytes with its gradient and the optimizer's state
    memory = SimpleNamespace(total_memory=3201)
    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: memory)

    def sharded(name: str, sharding: str = "auto") -> bool:
        return distributed._in_shards(module, device.Numerics(name, "float32", False, 1, 2, sharding))

    assert not sharded("cuda")
    assert sharded("cuda", "full")
    memory.total_memory = 3199
    assert sharded("cuda")
    assert not sharded("cuda", "off")
    assert not sharded("cpu")
    assert sharded("cpu", "full")
    monkeypatch.setattr(distributed, "world", lambda: 1)
    assert not sharded("cuda", "full")


def test_only_what_is_set_names_checkpoints() -> None:
    settings = {"name": "cpu", "compile": "off"}
    plain = device.resolve(Device.model_validate(settings)).describe()
    assert plain.keys() == {"device", "precision", "compile", "threads", "torch"}
    one = device.resolve(Device.model_validate({**settings, "micro_batch": 2})).describe()
    assert one == {**plain, "micro_batch": 2}


def test_a_batch_that_cannot_be_shared_is_said(tiny: Config, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phase = {"phase": "continual", "data": {"strong": 1}, "steps": 5, "schedule": CONSTANT, "batch_factor": 0.25}
    runs = {**EXPERIMENTS["runs"], "fine": {"after": "trunk", "phases": [phase]}}
    (world / "config/experiments.yaml").write_text(yaml.safe_dump({"runs": runs, "figures": {"f": _figure("fine")}}))
    variant(tiny, "uneven", device={"processes": 2})
    assert main(["train", "--plan", "--configfile", "uneven.yaml"]) == 2
    (line,) = errors(capsys.readouterr().err)
    assert "phase 2 (continual) of fine: a batch of 1 sequences cannot be shared evenly by 2 processes" in line
    assert "batch.sequences" in line
    assert "device.processes" in line


def _figure(run: str) -> dict[str, Any]:
    return {"title": run, "runs": [run]}


@pytest.mark.parametrize(
    ("started", "processes", "expected"),
    [
        (None, 2, "start them with `torchrun --standalone --nproc-per-node 2 -m cpt_dynamics train --plan"),
        ("4", 2, "4 processes were started, but device.processes is 2"),
        ("2", 1, "2 processes were started, but device.processes is 1"),
    ],
)
def test_a_wrong_number_of_processes_is_said(
    tiny: Config,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    started: str | None,
    processes: int,
    expected: str,
) -> None:
    config = variant(tiny, "wrong", device={"processes": processes})
    arguments = ["train", "--plan", "--configfile", "wrong.yaml"]
    monkeypatch.setattr(sys, "argv", ["cpt-dynamics", *arguments])
    if started is not None:
        monkeypatch.setenv("WORLD_SIZE", started)
    assert main(arguments) == 2
    (line,) = errors(capsys.readouterr().err)
    assert expected in line
    assert not (Layout(config).root / "branches").exists()


FAILING = """
import os, sys
from cpt_dynamics.cli import main
from cpt_dynamics.errors import UserError
from cpt_dynamics.training.loop import Trainer

whole = Trainer._batch

def batch(self, run, step):
    if step == 9 and os.environ["RANK"] in {ranks!r}:
        raise UserError("the ninth batch is bad")
    return whole(self, run, step)

Trainer._batch = batch
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("ranks", ["0", "1", "01"])
def test_one_line_says_what_went_wrong(tiny: Config, ranks: str) -> None:
    two = variant(tiny, "two", device={"processes": 2})
    Path("failing.py").write_text(FAILING.format(ranks=ranks), encoding="utf-8")
    done = torchrun("two", "failing.py")
    assert done.returncode != 0
    assert errors(done.stderr) == ["error: the ninth batch is bad"]
    assert not list((Layout(two).root / "branches").glob("*.parquet"))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_all_processes(tiny: Config) -> None:
    variant(tiny, "hot", device={"processes": 2}, optimizer={"peak_lr": 1000})
    (line,) = errors(torchrun("hot").stderr)
    assert "the training loss is not finite at step" in line


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["off", "full"])
def test_a_branch_goes_on_after_one_of_its_processes_was_killed(tiny: Config, sharding: str) -> None:
    changes = {"lengths": {"pretraining": 200}, "device": {"processes": 2, "sharding": sharding}}
    killed, whole = variant(tiny, "killed", **changes), variant(tiny, "whole", **changes)
    command = [*TORCHRUN, "-m", "cpt_dynamics", "train", "--plan", "--configfile", "killed.yaml"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and len(list(Layout(killed).checkpoints.glob("*/checkpoint.json"))) < 2:
        time.sleep(0.02)
    (second,) = [p for p in psutil.Process(process.pid).children() if p.environ().get("RANK") == "1"]
    os.kill(second.pid, signal.SIGKILL)
    _, stderr = process.communicate()
    assert process.returncode != 0
    assert len(errors(stderr)) <= 1  # torchrun may end the other process before it can say anything
    assert not list((Layout(killed).root / "branches").glob("*.parquet"))
    for name in ("killed", "whole"):
        assert torchrun(name).returncode == 0
    runs, plan = planned(killed)
    trunk = next(b for b in plan.branches.values() if b.run.name == "trunk")
    assert read_json(Layout(killed).branch(trunk.id).with_suffix(".json"))["started_from_step"] > 0
    for run in runs.values():
        pd.testing.assert_frame_equal(losses(killed, plan, run), losses(whole, plan, run), check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["off", "full"])
def test_processes_compile(tiny: Config, sharding: str) -> None:
    if missing := device.missing_for_compilation():
        pytest.skip(missing)
    train(tiny)
    compiled = variant(tiny, "compiled", device={"processes": 2, "sharding": sharding, "compile": "on"})
    done = torchrun("compiled")
    assert done.returncode == 0, done.stderr
    alike(tiny, compiled)
